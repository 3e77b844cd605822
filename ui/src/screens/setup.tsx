// The first visit: a password, whether fail2ban is there, and that nobody locks himself out.
import { useState } from 'preact/hooks';
import type { NeverBanBody } from '../never';
import { addNeverBan } from '../never';
import { Check, Form, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t, parts } from '../messages';
import { call, Failure, useGet } from '../request';
import { go, route } from '../router';
import { look, may, meta } from '../session';
import { DaemonProblem } from '../daemon';
import { Show, Verdict } from '../status';

const STEPS = 3;

export function Setup() {
  const [step, setStep] = useState(meta.get()?.setup_complete ? 2 : 1);
  const end = async () => {
    go(['overview']);
    await look();
  };
  return (
    <main class="alone">
      <p class="muted small">{t('setup.step', { n: step, of: STEPS })}</p>
      {step === 1 && <Password next={() => setStep(2)} />}
      {step === 2 && <Daemon next={() => (may('bans') ? setStep(3) : end())} />}
      {step === 3 && <NeverOut end={end} />}
    </main>
  );
}

function Password({ next }: { next: () => void }) {
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  // The setup link has it behind the `#`, so that no server's log gets to see it.
  const [code, setCode] = useState(route.get().query.code ?? '');
  const { busy, failure, send } = useSend();
  const [differs, setDiffers] = useState(false);
  const isFar = failure?.code === 'setup_local_only';
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (failure?.code === 'setup_already_complete') {
    return (
      <>
        <h1 tabIndex={-1}>{t('setup.taken')}</h1>
        <p>{t('setup.wasItYou')}</p>
        <p class="mono small">bangui set-password</p>
        <button type="button" class="primary wide" onClick={look}>{t('login.go')}</button>
      </>
    );
  }
  return (
    <>
      <h1 tabIndex={-1}><Icon name="shield" />{t('setup.password')}</h1>
      <p>{t('setup.passwordText')}</p>
      <Form failure={isFar ? undefined : failure} fields={['master_password']} send={() => {
        setDiffers(password !== again);
        if (password !== again) return;
        void send(async () => {
          await call('POST /setup', { body: { master_password: password, timezone: zone, ...(code && { code }) }, plain: true });
          await call('POST /auth/login', { body: { password }, plain: true });
          history.replaceState(null, '', '#/setup');
          next();
          await look();
        });
      }}>
        <input class="unseen" name="username" autoComplete="username" value="admin" readOnly tabIndex={-1} aria-hidden="true" />
        <Text label={t('login.password')} type="password" name="password" autoComplete="new-password" autoFocus value={password} set={setPassword}
          error={failure?.of('master_password') ?? (failure?.status === 400 ? failure.detail : undefined)} hint={t('setup.passwordHint')} />
        <Text label={t('setup.repeat')} type="password" name="password2" autoComplete="new-password" value={again} set={setAgain}
          error={differs ? t('setup.differs') : undefined} />
        {isFar && <Text label={t('setup.code')} name="code" autoComplete="off" autoFocus value={code} set={setCode} error={failure.detail} />}
        <button class="primary wide" disabled={busy || !password || !again}>{t('table.after')}</button>
      </Form>
    </>
  );
}

function Daemon({ next }: { next: () => void }) {
  const service = useGet('GET /config/service-status', {}, 5);
  return (
    <>
      <h1 tabIndex={-1}>{t('setup.daemon')}</h1>
      <Show of={service}>
        {(now) => now.online
          ? <Verdict level="ok"><p>{t('setup.runs', { version: now.version ?? '', n: now.jail_count })}</p></Verdict>
          : <DaemonProblem service={now} reload={service.reload} />}
      </Show>
      <div class="buttons"><button type="button" class="primary" onClick={next}>{t(service.data?.online ? 'table.after' : 'setup.later')}</button></div>
    </>
  );
}

function NeverOut({ end }: { end: () => void }) {
  const { address, is_proxy: isProxy } = meta.use()!.client;
  const [own, setOwn] = useState(true);
  const network = address && /^\d+(\.\d+){3}$/.test(address) && isPrivate(address) ? `${address.split('.').slice(0, 3).join('.')}.0/24` : undefined;
  const [local, setLocal] = useState(false);
  const { busy, failure, send } = useSend();
  const isLoopback = address === '127.0.0.1' || address === '::1';
  return (
    <>
      <h1 tabIndex={-1}>{t('setup.never')}</h1>
      {!address || isProxy
        ? <Verdict level="warn"><p>{t('setup.proxy')}</p></Verdict>
        : (
          <>
            <p>{parts('setup.youComeFrom', { ip: <strong>{address}</strong> })}{isLoopback && ` ${t('setup.loopback')}`}</p>
            {!isLoopback && <Check label={t('setup.own', { ip: address })} on={own} set={setOwn} />}
            {!isLoopback && network && <Check label={t('setup.network', { network })} on={local} set={setLocal} />}
          </>
        )}
      <Form failure={failure} send={() => send(async () => {
        const wanted: NeverBanBody[] = [];
        if (address && !isProxy && !isLoopback && own) wanted.push({ entry: address, note: t('setup.note') });
        if (network && local) wanted.push({ entry: network, note: t('setup.note') });
        for (const one of wanted) {
          try { await addNeverBan(one); } catch (error) { if (!(error instanceof Failure) || error.status !== 409) throw error; }
        }
        end();
      })}>
        <div class="buttons">
          <button class="primary" disabled={busy}>{t('setup.finish')}</button>
          {failure && <button type="button" onClick={end}>{t('setup.skip')}</button>}
        </div>
      </Form>
    </>
  );
}

function isPrivate(address: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address);
}
