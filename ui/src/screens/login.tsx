// The login: a screen of its own, or over the page where a session has ended under it. What was typed there stays.
import { useState } from 'preact/hooks';
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
  const { busy, failure, send } = useSend();
  const wantsName = meta.get()?.users ?? false;
  const isWrong = failure?.status === 401;
  return (
    <Form failure={isWrong ? undefined : failure} send={() => send(async () => {
      const body = { password, remember, ...(wantsName && name ? { username: name } : {}) };
      try {
        await call('POST /auth/login', { body, plain: true });
      } catch (error) {
        if (error instanceof Failure && error.status === 401) setPassword('');
        throw error;
      }
      await look();
      unlock();
    })}>
      {wantsName && <Text label={t('lists.name')} value={name} set={setName} name="username" autoComplete="username" />}
      {!wantsName && <input class="unseen" name="username" autoComplete="username" value="admin" readOnly tabIndex={-1} aria-hidden="true" />}
      <Text label={t('login.password')} type="password" name="password" autoComplete="current-password" autoFocus required
        value={password} set={setPassword} error={isWrong ? t('login.wrong') : undefined} />
      <Check label={t('login.remember')} on={remember} set={setRemember} />
      <button class="primary wide" disabled={busy || password === ''}>{t(busy ? 'login.busy' : 'login.go')}</button>
    </Form>
  );
}
