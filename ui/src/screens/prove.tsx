// Whether what a jail bans is kept out: tried with an address that nobody has, and told step by step. Before it does anything it says which
// actions would run, and which are left out.
import { useEffect, useState } from 'preact/hooks';
import type { ProofResponse } from '../api';
import { Dialog } from '../dialog';
import { t } from '../messages';
import { ProofSteps } from '../protection';
import { call } from '../request';
import { said } from '../said';
import { attempt, Waiting } from '../status';

export function Proving({ name, close }: { name: string; close: () => void }) {
  const [proof, setProof] = useState<ProofResponse | null>(null);
  const [busy, setBusy] = useState(false);
  const run = (dry_run: boolean) => attempt(async () => {
    setBusy(true);
    try {
      setProof(await call('POST /jails/{name}/prove', { path: { name }, query: { dry_run } }));
    } finally {
      setBusy(false);
    }
  });
  useEffect(() => { void run(true); }, []);
  const canRun = proof?.dry_run && proof.level === 'ok';
  return (
    <Dialog title={t('prove.title', { name })} close={close} wide>
      <p>{t('prove.text')}</p>
      {proof ? <div aria-live="polite">{!proof.dry_run && <p><strong>{said(proof.sentence)}</strong></p>}<ProofSteps of={proof} /></div> : <Waiting />}
      <div class="buttons">
        <button type="button" onClick={close}>{t('action.close')}</button>
        {proof && (canRun || !proof.dry_run) && <button type="button" class="primary" disabled={busy} onClick={() => run(false)}>{t(proof.dry_run ? 'prove.do' : 'prove.again')}</button>}
      </div>
    </Dialog>
  );
}
