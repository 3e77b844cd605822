// Am I protected? The verdict with its findings, each with its mend; and the steps of one jail, from a failed login to a ban.
import { useEffect } from 'preact/hooks';
import type { Finding, JailCheckResponse, JailStep, ProofResponse, ProofStep, ProtectionLevel, ProtectionResponse, Remedy } from './api';
import { Jail, Time } from './format';
import { t, type Message } from './messages';
import { call, mend, type Loaded } from './request';
import { said } from './said';
import { may } from './session';
import { attempt, say, Show, Verdict } from './status';

export function Protection({ now }: { now: Loaded<ProtectionResponse> }) {
  const look = () => attempt(async () => {
    await call('POST /protection/check');
    await now.reload();
  });
  // The first look takes a second or two.
  const isLooking = now.data && !now.data.checked_at;
  useEffect(() => {
    if (!isLooking) return undefined;
    const timer = setTimeout(() => void now.reload(), 1500);
    return () => clearTimeout(timer);
  }, [isLooking, now.at]);
  return (
    <Show of={now}>
      {(data) => {
        const [awake, rested] = [data.findings.filter((one) => !one.rest), data.findings.filter((one) => one.rest)];
        return (
          <Verdict level={data.level}>
            <p><strong>{isLooking ? t('protect.looking') : said(head(data))}</strong></p>
            {awake.length > 0 && <ul class="findings">{awake.map((one) => <Found key={one.id} of={one} reload={now.reload} />)}</ul>}
            <p class="small checked">{data.checked_at && <>{t('protect.checked')} <Time at={data.checked_at} />.</>} {may('bans') && <button type="button" class="linklike" onClick={look}>{t('protect.again')}</button>}</p>
            {rested.length > 0 && <details class="small"><summary>{t('protect.rested', { n: rested.length })}</summary><ul class="findings">{rested.map((one) => <Found key={one.id} of={one} reload={now.reload} />)}</ul></details>}
          </Verdict>
        );
      }}
    </Show>
  );
}

/** The verdict alone: what it quotes of the findings stands below it. */
function head({ sentence, findings }: ProtectionResponse): string {
  return findings.reduce((text, one) => text.replace(one.sentence, ''), sentence).trim() || sentence;
}

function Found({ of, reload }: { of: Finding; reload: () => Promise<void> }) {
  const path = { id: of.id };
  const wake = async () => { await call('DELETE /protection/findings/{id}/rest', { path }); await reload(); };
  const rest = async () => {
    await call('PUT /protection/findings/{id}/rest', { path, body: { note: '' } });
    await reload();
    say(t('protect.didRest'), wake);
  };
  return (
    <li>
      {of.jail && !of.sentence.includes(of.jail) && <><Jail name={of.jail} />: </>}{said(of.sentence)}
      {of.detail && <div class="small muted">{said(of.detail)}</div>}
      {of.rest?.note && <div class="small">{t('address.note', { note: of.rest.note, who: of.rest.actor.name })}</div>}
      {!of.rest && of.remedy && <div class="small">{said(of.remedy.text)}</div>}
      {may('bans') && <div class="pair small">
        {!of.rest && <Mend remedy={of.remedy} done={reload} />}
        <button type="button" class="linklike" onClick={() => attempt(of.rest ? wake : rest)}>{t(of.rest ? 'protect.wake' : 'protect.rest')}</button>
      </div>}
    </li>
  );
}

/** The mend as one press, where the server says that it is safe. */
function Mend({ remedy, done }: { remedy: Remedy | null; done: () => Promise<void> }) {
  const request = remedy?.request;
  if (!request || !may('config') || !may('jails')) return null;
  return (
    <button type="button" onClick={() => attempt(async () => {
      await mend(request);
      await call('POST /protection/check');
      await done();
      say(t('protect.mended'));
    })}>{t('protect.mend')}</button>
  );
}

/** What was looked at in one jail, in the order in which a failed login becomes a ban. */
export function Steps({ now }: { now: Loaded<JailCheckResponse> }) {
  return (
    <Show of={now}>
      {(data) => (
        <>
          <ul class="plainlist steps">{data.steps.map((step) => <Step key={step.id} of={step} reload={now.reload} />)}</ul>
          {data.steps.length === 0 && <p class="muted">{said(data.sentence)}</p>}
          {data.checked_at && <p class="muted small">{t('protect.checked')} <Time at={data.checked_at} /></p>}
        </>
      )}
    </Show>
  );
}

/** What came of putting a jail to the proof. */
export function ProofSteps({ of }: { of: ProofResponse }) {
  return <ul class="plainlist steps">{of.steps.map((step) => <Step key={step.id} of={step} />)}</ul>;
}

const WORD: Record<ProtectionLevel, Message> = { ok: 'protect.stepOk', warn: 'protect.stepWarn', bad: 'protect.stepBad', unknown: 'protect.stepUnknown' };

function Step({ of, reload }: { of: JailStep | ProofStep; reload?: () => Promise<void> }) {
  return (
    <li>
      <span class={`state ${of.level === 'unknown' ? 'off' : of.level}`}>{t(WORD[of.level])}</span>
      <div>{said(of.sentence)}
        {of.detail && <div class="muted small">{said(of.detail)}</div>}
        {of.level !== 'ok' && of.remedy && <div class="small">{said(of.remedy.text)} {reload && <Mend remedy={of.remedy} done={reload} />}</div>}
      </div>
    </li>
  );
}
