// Who is told what happens: channels, a test of each, and what was told.
import { useState } from 'preact/hooks';
import type { Notification, NotificationChannel, NotificationEvent, NotificationPreset, NotificationTest } from '../api';
import { Answers, ask, Dialog } from '../dialog';
import { Time } from '../format';
import { Area, Check, Choice, Form, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t, type Message } from '../messages';
import { call, useGet } from '../request';
import { may } from '../session';
import { attempt, say, Show, Verdict } from '../status';
import { Table } from '../table';
import { listOf } from '../values';

const EVENTS: Record<NotificationEvent, Message> = {
  ban: 'tell.ban', daemon_down: 'tell.daemonDown', daemon_up: 'tell.daemonUp', protection_bad: 'tell.bad', protection_ok: 'tell.ok',
  import_failed: 'tell.importFailed', login: 'tell.login', login_blocked: 'tell.loginBlocked', config_changed: 'tell.config', digest: 'tell.digest',
};
const USUAL: NotificationEvent[] = ['daemon_down', 'protection_bad', 'login_blocked', 'digest'];
/** What a URL looks like, and what a service calls its secret. */
const PRESETS: Record<NotificationPreset, { name: string; url: string; token?: boolean }> = {
  ntfy: { name: 'ntfy', url: 'https://ntfy.sh/…', token: true },
  gotify: { name: 'Gotify', url: 'https://push.example.org/message', token: true },
  telegram: { name: 'Telegram', url: 'https://api.telegram.org/bot…/sendMessage' },
  discord: { name: 'Discord', url: 'https://discord.com/api/webhooks/…' },
  slack: { name: 'Slack, Mattermost', url: 'https://hooks.slack.com/services/…' },
  json: { name: 'JSON', url: 'https://example.org/hook' },
};

export function Notifications() {
  const channels = useGet('GET /notifications', {}, 30);
  const log = useGet('GET /notifications/log', { query: { page_size: 20 } }, 15);
  const [editing, setEditing] = useState<NotificationChannel | 'new'>();
  const all = async () => { await Promise.all([channels.reload(), log.reload()]); };
  const remove = (one: NotificationChannel) => attempt(async () => {
    if (!await ask(t('lists.removeTitle', { name: one.name }), t('tell.removeText'), t('action.remove'))) return;
    await call('DELETE /notifications/{id}', { path: { id: one.id } });
    await all();
  });
  const test = (one: NotificationChannel) => attempt(async () => {
    const done = await call('POST /notifications/{id}/test', { path: { id: one.id } });
    say(done.failure ? done.failure.detail : t('tell.sent'), undefined, !!done.failure);
  });
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1}>{t('tell.title')}</h1>
        {may('config') && <button type="button" class="primary" onClick={() => setEditing('new')}><Icon name="plus" />{t('tell.add')}</button>}
      </div>
      <p class="sentence">{channels.data ? t('tell.sentence', { n: channels.data.items.filter((one) => one.enabled).length }) : ' '}</p>
      <Show of={channels}>
        {(data) => (
          <Table label={t('tell.title')} rows={data.items} id={(one) => String(one.id)} empty={<p>{t('tell.none')}</p>} columns={[
            { title: t('lists.name'), phone: 'main', cell: (one) => <><strong>{one.name}</strong> {!one.enabled && <span class="tag">{t('lists.off')}</span>}<div class="muted small">{whom(one)}</div></> },
            { title: t('tell.events'), phone: 'sub', cell: (one) => one.events.map((event) => t(EVENTS[event])).join(' · ') },
            { title: t('col.do'), right: true, phone: 'below', cell: (one) => may('config') && (
              <span class="pair">
                <button type="button" onClick={() => test(one)}>{t('tell.test')}</button>
                <button type="button" onClick={() => setEditing(one)} aria-label={t('lists.change', { name: one.name })}>{t('action.change')}</button>
                <button type="button" class="plain" aria-label={t('lists.removeTitle', { name: one.name })} onClick={() => remove(one)}><Icon name="close" /></button>
              </span>) },
          ]} />
        )}
      </Show>
      <h2>{t('tell.log')}</h2>
      <Show of={log}>
        {(data) => (
          <Table label={t('tell.log')} rows={data.items} id={(one) => String(one.id)} empty={<p>{t('tell.logNone')}</p>} columns={[
            { title: t('activity.what'), phone: 'main', cell: (one) => <>{one.title}<div class="muted small">{one.channel}</div></> },
            { title: t('col.state'), phone: 'sub', cell: (one) => <State of={one} /> },
            { title: t('col.when'), phone: 'side', cell: (one) => <Time at={one.at} /> },
          ]} />
        )}
      </Show>
      {editing && <Edit channel={editing === 'new' ? undefined : editing} close={() => setEditing(undefined)} done={all} />}
    </>
  );
}

function whom(one: NotificationChannel): string {
  return one.kind === 'webhook' ? `${PRESETS[one.preset!].name} · ${one.url}` : `${one.to!.join(', ')} · ${one.host}`;
}

function State({ of }: { of: Notification }) {
  if (of.state === 'sent') return <>{t('tell.isSent')}</>;
  if (of.state === 'failed') return <span class="wrong">{t('tell.isFailed')} {of.failure?.detail}</span>;
  return <>{t('tell.isWaiting')} {of.failure && <span class="wrong">{of.failure.detail}</span>} {of.failure && of.next_at && <>{t('tell.again')} <Time at={of.next_at} />.</>}</>;
}

function Edit({ channel, close, done }: { channel?: NotificationChannel; close: () => void; done: () => Promise<void> }) {
  const [now, set] = useState({
    name: channel?.name ?? '', way: (channel ? channel.preset ?? 'email' : 'ntfy') as NotificationPreset | 'email', enabled: channel?.enabled ?? true,
    url: channel?.url ?? '', chat: channel?.chat_id ?? '', secret: '', token: '', private: channel?.allow_private ?? false,
    host: channel?.host ?? '', port: String(channel?.port ?? 587), security: channel?.security ?? 'starttls', username: channel?.username ?? '', password: '',
    from: channel?.from ?? '', to: (channel?.to ?? []).join('\n'), jails: (channel?.jails ?? []).join('\n'), countries: (channel?.countries ?? []).join(' '),
    events: new Set<NotificationEvent>(channel?.events ?? USUAL),
  });
  const [tested, setTested] = useState<NotificationTest>();
  const { busy, failure, send } = useSend();
  const put = (part: Partial<typeof now>) => { set({ ...now, ...part }); setTested(undefined); };
  const isMail = now.way === 'email';
  const preset = isMail ? undefined : PRESETS[now.way as NotificationPreset];
  const target = now.way === 'email'
    ? { host: now.host.trim(), port: Number(now.port), security: now.security, username: now.username, from: now.from.trim(), to: listOf(now.to), ...(now.password ? { password: now.password } : {}) }
    : { preset: now.way, url: now.url.trim(), chat_id: now.chat.trim(), ...(now.secret ? { secret: now.secret } : {}), ...(now.token ? { token: now.token } : {}) };
  const body = {
    name: now.name.trim(), enabled: now.enabled, allow_private: now.private, events: [...now.events], jails: listOf(now.jails),
    countries: now.countries.toUpperCase().split(/[\s,]+/).filter(Boolean), ...target,
  };
  const kept = channel?.has_secret ? t('tell.kept') : undefined;
  const error = (field: string) => failure?.of(field);
  const ways: Array<[string, string]> = channel
    ? (isMail ? [['email', t('tell.email')]] : Object.entries(PRESETS).map(([one, { name }]) => [one, name]))
    : [...Object.entries(PRESETS).map(([one, { name }]): [string, string] => [one, name]), ['email', t('tell.email')]];
  return (
    <Dialog title={channel ? t('lists.change', { name: channel.name }) : t('tell.add')} close={close}>
      <Form failure={failure} fields={['name', 'url', 'chat_id', 'secret', 'token', 'host', 'port', 'username', 'password', 'from', 'to', 'events', 'jails', 'countries']} send={() => send(async () => {
        if (channel) await call('PUT /notifications/{id}', { path: { id: channel.id }, body });
        else await call('POST /notifications', { body: { kind: isMail ? 'email' : 'webhook', ...body } });
        await done();
        close();
      })}>
        <Choice label={t('tell.way')} value={now.way} set={(way) => put({ way: way as typeof now.way })} options={ways} />
        <Text label={t('lists.name')} value={now.name} set={(name) => put({ name })} error={error('name')} maxLength={100} />
        {preset && <>
          <Text label={t('tell.url')} value={now.url} set={(url) => put({ url })} error={error('url')} type="url" inputMode="url" placeholder={preset.url} />
          {now.way === 'telegram' && <Text label={t('tell.chat')} value={now.chat} set={(chat) => put({ chat })} error={error('chat_id')} />}
          {preset.token && <Text label={t('tell.token')} hint={kept} value={now.token} set={(token) => put({ token })} error={error('token')} type="password" autoComplete="off" />}
          {now.way === 'json' && <Text label={t('tell.secret')} hint={kept ?? t('tell.secretHint')} value={now.secret} set={(secret) => put({ secret })} error={error('secret')} type="password" autoComplete="off" />}
        </>}
        {isMail && <>
          <Text label={t('tell.host')} value={now.host} set={(host) => put({ host })} error={error('host')} placeholder="mail.example.org" />
          <Choice label={t('tell.security')} value={now.security} set={(security) => put({ security: security as typeof now.security, port: security === 'tls' ? '465' : '587' })} options={[['starttls', 'STARTTLS'], ['tls', 'TLS']]} />
          <Text label={t('tell.port')} value={now.port} set={(port) => put({ port })} error={error('port')} inputMode="numeric" />
          <Text label={t('tell.username')} value={now.username} set={(username) => put({ username })} error={error('username')} autoComplete="off" />
          <Text label={t('login.password')} hint={kept} value={now.password} set={(password) => put({ password })} error={error('password')} type="password" autoComplete="new-password" />
          <Text label={t('tell.from')} value={now.from} set={(from) => put({ from })} error={error('from')} type="email" inputMode="email" />
          <Area label={t('tell.to')} value={now.to} set={(to) => put({ to })} error={error('to')} rows={2} />
        </>}
        <fieldset>
          <legend>{t('tell.events')}</legend>
          {error('events') && <p class="wrong">{error('events')}</p>}
          {(Object.keys(EVENTS) as NotificationEvent[]).map((event) => (
            <Check key={event} label={t(EVENTS[event])} on={now.events.has(event)} set={(on) => {
              const events = new Set(now.events);
              if (on) events.add(event); else events.delete(event);
              put({ events });
            }} />
          ))}
        </fieldset>
        {now.events.has('ban') && <>
          <Area label={t('tell.jails')} value={now.jails} set={(jails) => put({ jails })} error={error('jails')} rows={2} />
          <Text label={t('tell.countries')} value={now.countries} set={(countries) => put({ countries })} error={error('countries')} placeholder="DE FR" />
        </>}
        <Check label={t('tell.private')} hint={t('tell.privateHint')} on={now.private} set={(on) => put({ private: on })} />
        <Check label={t('tell.enabled')} on={now.enabled} set={(enabled) => put({ enabled })} />
        {tested && <Verdict level={tested.sent ? 'ok' : 'bad'}><p role="status">{tested.failure ? tested.failure.detail : t('tell.sent')}</p></Verdict>}
        <Answers close={close} yes={t('action.save')} off={busy || !now.name.trim()}>
          {!channel && <button type="button" disabled={busy || !now.name.trim()} onClick={() => send(async () => setTested(await call('POST /notifications/test', { body: { kind: isMail ? 'email' : 'webhook', ...body } })))}>{t('tell.test')}</button>}
        </Answers>
      </Form>
    </Dialog>
  );
}
