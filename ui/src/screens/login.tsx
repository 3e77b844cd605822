// The login, and the code where the account wants one: a screen of its own, or over the page where a session has ended under it. What was
// typed there stays.
import { useEffect, useState } from 'preact/hooks';
import { Dialog } from '../dialog';
import { Check, Form, Text, useSend } from '../form';
import { t } from '../messages';
import { call, Failure, unlock } from '../request';
import { look, meta } from '../session';
import { Icon } from '../icons';

export function Login({ over }: { over?: boolean }) {
  if (over) return <Dialog title={t('login.again')}><p>{t('login.kept')}</p><LoginForm /></Dialog>;
  return (
    <main class="alone">
      <h1 tabIndex={-1}><Icon name="shield" />bangui</h1>
      <LoginForm />
    </main>
  );
}

function LoginForm() {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [remember, setRemember] = useState(false);
  /** The password was right, and this waits for a code. */
  const [challenge, setChallenge] = useState('');
  const [code, setCode] = useState('');
  const { busy, failure, send, clear } = useSend();
  const wantsName = meta.get()?.users ?? false;
  const isWrong = failure?.status === 401;
  useEffect(() => { if (challenge) document.querySelector<HTMLElement>('[autocomplete=one-time-code]')?.focus(); }, [challenge]);
  return (
    <Form failure={isWrong ? undefined : failure} send={() => send(async () => {
      const body = { password, remember, ...(wantsName && name ? { username: name } : {}) };
      try {
        if (challenge) await call('POST /auth/challenge', { body: { challenge, code }, plain: true });
        else await call('POST /auth/login', { body, plain: true });
      } catch (error) {
        if (error instanceof Failure && error.status === 401) {
          setCode('');
          if (error.code === 'mfa_required') return setChallenge(String(error.metadata.challenge));
          if (!challenge) setPassword('');
        }
        throw error;
      }
      await look();
      unlock();
    })}>
      {challenge
        ? <>
          <Text key="code" label={t('login.code')} hint={t('login.codeHint')} autoComplete="one-time-code" value={code} set={setCode} error={isWrong ? t('login.codeWrong') : undefined} />
          <button class="primary wide" disabled={busy || code === ''}>{t(busy ? 'login.busy' : 'login.go')}</button>
          <button type="button" class="plain wide" onClick={() => { setChallenge(''); clear(); }}>{t('action.cancel')}</button>
        </>
        : <>
          {wantsName && <Text label={t('lists.name')} value={name} set={setName} name="username" autoComplete="username" />}
          {!wantsName && <input class="unseen" name="username" autoComplete="username" value="admin" readOnly tabIndex={-1} aria-hidden="true" />}
          <Text label={t('login.password')} type="password" name="password" autoComplete="current-password" autoFocus required
            value={password} set={setPassword} error={isWrong ? t('login.wrong') : undefined} />
          <Check label={t('login.remember')} on={remember} set={setRemember} />
          <button class="primary wide" disabled={busy || password === ''}>{t(busy ? 'login.busy' : 'login.go')}</button>
        </>}
    </Form>
  );
}
