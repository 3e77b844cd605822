// Who can do this? People, the keys of programs, and one's own password and sessions.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Role, Scope, Token, User } from '../api';
import { Answers, ask, Dialog } from '../dialog';
import { Time } from '../format';
import { Area, Check, Choice, Form, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t, type Message } from '../messages';
import { call, useGet } from '../request';
import { route } from '../router';
import { isAdmin, look, meta } from '../session';
import { attempt, say, Show } from '../status';
import { Table } from '../table';
import { listOf } from '../values';

/** Who did the setup has this name. */
const OWNER = 'admin';
const ROLES: Record<Role, Message> = { viewer: 'role.viewer', operator: 'role.operator', admin: 'role.admin' };
const SCOPES: Record<Scope, Message> = { read: 'scope.read', bans: 'scope.bans', jails: 'scope.jails', config: 'scope.config', actions: 'scope.actions', metrics: 'scope.metrics' };

export function Access() {
  const now = meta.use()!;
  const { name, role } = now.user!;
  const [changing, setChanging] = useState(false);
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1}>{t('access.title')}</h1>
        {!now.read_only && <button type="button" onClick={() => setChanging(true)}>{t('access.password')}</button>}
      </div>
      <p class="sentence">{t('access.sentence', { name, role: t(ROLES[role]) })}</p>
      {isAdmin() && <People own={name} fixed={now.read_only} />}
      {isAdmin() && <Tokens own={name} fixed={now.read_only} />}
      <Sessions fixed={now.read_only} />
      {changing && <Password name={name} close={() => setChanging(false)} />}
    </>
  );
}

interface ProvedProps {
  title: string;
  yes: string;
  danger?: boolean;
  ready?: boolean;
  /** The fields that show what the server says of them. */
  fields?: string[];
  /** Gets what proves who asks, to be sent along. */
  work: (proof: { password?: string }) => Promise<void>;
  close: () => void;
  children: (error: (field: string) => string | undefined) => ComponentChildren;
}

/** A dialog for what takes a fresh login, or the own password: that is asked for only where the server does. */
function Proved({ title, yes, danger, ready = true, fields = [], work, close, children }: ProvedProps) {
  const { busy, failure, send } = useSend();
  const [password, setPassword] = useState('');
  const isAsked = useRef(false);
  const isWrong = failure?.status === 401;
  isAsked.current ||= isWrong || failure?.code === 'reauthentication_required';
  const own = useRef<HTMLDivElement>(null);
  useEffect(() => own.current?.querySelector('input')?.focus(), [isAsked.current]);
  const signs = failure?.code === 'invalid_name' && /9(.*)\]/.exec(String(failure.metadata.pattern))?.[1];
  const isTaken = failure?.code === 'conflict';
  const error = (field: string) => {
    if (field === 'name' && signs) return t('access.signs', { signs: [...signs].join(' ') });
    return field === 'name' && isTaken ? t('access.taken') : failure?.of(field);
  };
  const isSaid = isWrong || isTaken || signs || failure?.code === 'reauthentication_required';
  return (
    <Dialog title={title} close={close}>
      <Form failure={isSaid ? undefined : failure} fields={fields} send={() => send(async () => {
        await work(password ? { password } : {});
        close();
      })}>
        {children(error)}
        {isAsked.current && (
          <div ref={own}>
            <Text label={t('access.own')} hint={t('access.ownHint')} type="password" autoComplete="current-password" value={password} set={setPassword} error={isWrong ? t('login.wrong') : undefined} />
          </div>
        )}
        <Answers close={close} yes={yes} danger={danger} off={busy || !ready || (isAsked.current && !password)} />
      </Form>
    </Dialog>
  );
}

function Password({ name, close }: { name: string; close: () => void }) {
  const [now, set] = useState({ old: '', wanted: '', again: '' });
  const { busy, failure, send } = useSend();
  const [differs, setDiffers] = useState(false);
  const isWrong = failure?.status === 401;
  return (
    <Dialog title={t('access.password')} close={close}>
      <p>{t('access.passwordText')}</p>
      <Form failure={isWrong ? undefined : failure} fields={['new_password']} send={() => {
        setDiffers(now.wanted !== now.again);
        if (now.wanted === now.again) void send(async () => {
          await call('PUT /auth/password', { body: { current_password: now.old, new_password: now.wanted } });
          close();
          say(t('access.passwordDone'));
        });
      }}>
        <input class="unseen" name="username" autoComplete="username" value={name} readOnly tabIndex={-1} aria-hidden="true" />
        <Text label={t('access.current')} type="password" autoComplete="current-password" value={now.old} set={(old) => set({ ...now, old })} error={isWrong ? t('login.wrong') : undefined} />
        <Text label={t('access.new')} hint={t('setup.passwordHint')} type="password" autoComplete="new-password" value={now.wanted} set={(wanted) => set({ ...now, wanted })} error={failure?.of('new_password')} />
        <Text label={t('setup.repeat')} type="password" autoComplete="new-password" value={now.again} set={(again) => set({ ...now, again })} error={differs ? t('setup.differs') : undefined} />
        <Answers close={close} yes={t('action.change')} off={busy || !now.old || !now.wanted} />
      </Form>
    </Dialog>
  );
}

function Sessions({ fixed }: { fixed?: boolean }) {
  const list = useGet('GET /auth/sessions', {}, 30);
  const end = (id?: string) => attempt(async () => {
    if (!await ask(t(id ? 'access.end' : 'access.endAll'), t('access.endText'), t('access.end'))) return;
    if (id) await call('DELETE /auth/sessions/{id}', { path: { id } });
    else await call('DELETE /auth/sessions');
    await list.reload();
  });
  return (
    <>
      <div class="bar">
        <h2>{t('access.sessions')}</h2>
        {!fixed && list.data && list.data.items.length > 1 && <button type="button" onClick={() => end()}>{t('access.endAll')}</button>}
      </div>
      <Show of={list}>
        {(data) => (
          <Table label={t('access.sessions')} rows={data.items} id={(one) => one.id} empty={null} columns={[
            { title: t('col.address'), phone: 'main', cell: (one) => <><span class="address">{one.client}</span> {one.is_this_one && <span class="tag">{t('access.this')}</span>}</> },
            { title: t('access.login'), phone: 'none', cell: (one) => <Time at={one.since} /> },
            { title: t('access.used'), phone: 'sub', cell: (one) => <><span class="phone-only">{t('access.used')}: </span><Time at={one.last_used_at} /></> },
            { title: t('col.until'), phone: 'none', cell: (one) => <Time at={one.expires_at} /> },
            ...(fixed ? [] : [{ title: t('col.do'), right: true, phone: 'side' as const, cell: (one: typeof data.items[0]) => !one.is_this_one
              && <button type="button" onClick={() => end(one.id)}>{t('access.end')}</button> }]),
          ]} />
        )}
      </Show>
    </>
  );
}

function People({ own, fixed }: { own: string; fixed?: boolean }) {
  const list = useGet('GET /users', {}, 60);
  const [editing, setEditing] = useState<User | 'new'>();
  const [removing, setRemoving] = useState<User>();
  const done = async () => { await Promise.all([list.reload(), look()]); };
  return (
    <>
      <div class="bar">
        <h2>{t('access.people')}</h2>
        {!fixed && <button type="button" onClick={() => setEditing('new')}><Icon name="plus" />{t('access.add')}</button>}
      </div>
      <Show of={list}>
        {(data) => (
          <Table label={t('access.people')} rows={data.items} id={(one) => one.name} empty={null} columns={[
            { title: t('lists.name'), phone: 'main', cell: (one) => <><strong>{one.name}</strong> {one.is_owner && <span class="tag">{t('access.owner')}</span>} {one.name === own && <span class="tag">{t('access.you')}</span>}</> },
            { title: t('access.may'), phone: 'sub', cell: (one) => t(ROLES[one.role]) },
            { title: t('col.since'), phone: 'none', cell: (one) => <Time at={one.created_at} /> },
            ...(fixed ? [] : [{ title: t('col.do'), right: true, phone: 'side' as const, cell: (one: User) => !one.is_owner && one.name !== own && (
              <span class="pair">
                <button type="button" onClick={() => setEditing(one)} aria-label={t('lists.change', { name: one.name })}>{t('action.change')}</button>
                <button type="button" class="plain" aria-label={t('lists.removeTitle', { name: one.name })} onClick={() => setRemoving(one)}><Icon name="close" /></button>
              </span>) }]),
          ]} />
        )}
      </Show>
      {editing && <Person user={editing === 'new' ? undefined : editing} close={() => setEditing(undefined)} done={done} />}
      {removing && (
        <Proved title={t('lists.removeTitle', { name: removing.name })} yes={t('action.remove')} danger close={() => setRemoving(undefined)} work={async (body) => {
          await call('DELETE /users/{name}', { path: { name: removing.name }, body });
          await done();
        }}>{() => <p>{t('access.removeText')}</p>}</Proved>
      )}
    </>
  );
}

function Person({ user, close, done }: { user?: User; close: () => void; done: () => Promise<void> }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(user?.role ?? 'viewer');
  const [password, setPassword] = useState('');
  return (
    <Proved title={user ? t('lists.change', { name: user.name }) : t('access.add')} yes={t(user ? 'action.save' : 'action.add')} ready={!!user || !!(name && password)} fields={['new_password']} close={close}
      work={async (proof) => {
        if (user) await call('PUT /users/{name}', { path: { name: user.name }, body: { role, ...(password && { new_password: password }), ...proof } });
        else await call('POST /users', { body: { name, role, new_password: password, ...proof } });
        await done();
      }}>
      {(error) => (
        <>
          {!user && <Text label={t('lists.name')} value={name} set={(text) => setName(text.trim())} error={error('name')} maxLength={64} autoComplete="off" />}
          <Choice label={t('access.may')} value={role} set={(one) => setRole(one as Role)} options={Object.entries(ROLES).map(([one, words]) => [one, t(words)])} />
          <Text label={t('access.new')} hint={t(user ? 'access.kept' : 'setup.passwordHint')} type="password" autoComplete="new-password" value={password} set={setPassword} error={error('new_password')} />
        </>
      )}
    </Proved>
  );
}

function Tokens({ own, fixed }: { own: string; fixed?: boolean }) {
  const { page } = route.use().query;
  const list = useGet('GET /tokens', { query: { page: page ?? 1, page_size: 25 } }, 30);
  const [editing, setEditing] = useState<Token | 'new'>();
  const [removing, setRemoving] = useState<Token>();
  const [rotating, setRotating] = useState<Token>();
  const [made, setMade] = useState<{ name: string; token: string }>();
  const several = meta.get()!.users;
  /** The owner's are the owner's to change and renew. */
  const isMine = (one: Token) => own === OWNER || one.user !== OWNER;
  return (
    <>
      <div class="bar">
        <h2>{t('token.title')}</h2>
        {!fixed && <button type="button" onClick={() => setEditing('new')}><Icon name="plus" />{t('token.add')}</button>}
      </div>
      <Show of={list}>
        {(data) => (
          <Table label={t('token.title')} rows={data.items} id={(one) => String(one.id)} pagination={data.pagination} empty={<p>{t('token.none')}</p>} columns={[
            { title: t('lists.name'), phone: 'main', cell: (one) => <><strong>{one.name}</strong>{several && ` (${one.user})`}<div class="muted small mono">{one.prefix}…</div></> },
            { title: t('access.may'), phone: 'sub', cell: (one) => <>{one.scopes.join(', ')}<div class="muted small">{limits(one)}</div></> },
            { title: t('access.used'), phone: 'subside', cell: (one) => <><Time at={one.last_used_at} /><div class="muted small">{one.last_used_from}</div></> },
            { title: t('col.until'), phone: 'none', cell: (one) => (one.expires_at ? <Time at={one.expires_at} /> : t('time.ever')) },
            ...(fixed ? [] : [{ title: t('col.do'), right: true, phone: 'below' as const, cell: (one: Token) => (
              <span class="pair">
                {isMine(one) && <button type="button" onClick={() => setEditing(one)} aria-label={t('lists.change', { name: one.name })}>{t('action.change')}</button>}
                {isMine(one) && <button type="button" onClick={() => setRotating(one)} aria-label={t('token.rotateTitle', { name: one.name })}>{t('token.rotate')}</button>}
                <button type="button" class="plain" aria-label={t('lists.removeTitle', { name: one.name })} onClick={() => setRemoving(one)}><Icon name="close" /></button>
              </span>) }]),
          ]} />
        )}
      </Show>
      {editing && <Key token={editing === 'new' ? undefined : editing} close={() => setEditing(undefined)} done={async (one) => { setMade(one); await list.reload(); }} />}
      {rotating && (
        <Proved title={t('token.rotateTitle', { name: rotating.name })} yes={t('token.rotate')} danger close={() => setRotating(undefined)} work={async (body) => {
          setMade(await call('POST /tokens/{id}/rotate', { path: { id: rotating.id }, body }));
          await list.reload();
        }}>{() => <p>{t('token.rotateText')}</p>}</Proved>
      )}
      {removing && (
        <Proved title={t('lists.removeTitle', { name: removing.name })} yes={t('action.remove')} danger close={() => setRemoving(undefined)} work={async (body) => {
          await call('DELETE /tokens/{id}', { path: { id: removing.id }, body });
          await list.reload();
        }}>{() => <p>{t('token.removeText')}</p>}</Proved>
      )}
      {made && !editing && !rotating && <Made {...made} close={() => setMade(undefined)} />}
    </>
  );
}

/** What a token is held to: jails, and where it may be used from. */
function limits({ jails, allowed_ips: from }: Token): string {
  return [jails.length > 0 && t('token.of', { list: jails.join(', ') }), from.length > 0 && t('token.from', { list: from.join(', ') })].filter(Boolean).join('; ');
}

/** The day of a time, as a field for a day has it. */
const dayOf = (at: string) => { const time = new Date(at); return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 10); };

function Key({ token, close, done }: { token?: Token; close: () => void; done: (made?: { name: string; token: string }) => Promise<void> }) {
  const until = token?.expires_at ? dayOf(token.expires_at) : '';
  const [now, set] = useState({ name: token?.name ?? '', scopes: new Set<Scope>(token?.scopes ?? ['read']), jails: (token?.jails ?? []).join('\n'), from: (token?.allowed_ips ?? []).join('\n'), day: until });
  const body = {
    name: now.name, scopes: [...now.scopes], jails: listOf(now.jails), allowed_ips: listOf(now.from),
    // To the end of that day, here. One that was not touched stays as it is.
    expires_at: now.day === until ? token?.expires_at ?? null : now.day && new Date(`${now.day}T23:59:59`).toISOString(),
  };
  return (
    <Proved title={token ? t('lists.change', { name: token.name }) : t('token.add')} yes={t(token ? 'action.save' : 'token.add')} ready={!!now.name && now.scopes.size > 0} close={close}
      fields={['scopes', 'jails', 'allowed_ips', 'expires_at']} work={async (proof) => {
        const sent = { ...body, expires_at: body.expires_at || null, ...proof };
        if (token) await call('PUT /tokens/{id}', { path: { id: token.id }, body: sent });
        await done(token ? undefined : await call('POST /tokens', { body: sent }));
      }}>
      {(error) => (
        <>
          <Text label={t('lists.name')} value={now.name} set={(name) => set({ ...now, name: name.trim() })} error={error('name')} maxLength={64} placeholder="homepage" autoComplete="off" />
          <fieldset>
            <legend>{t('access.may')}</legend>
            {Object.entries(SCOPES).map(([one, words]) => (
              <Check key={one} label={<>{t(words)} <span class="muted mono">{one}</span></>} on={now.scopes.has(one as Scope)} set={(on) => {
                const scopes = new Set(now.scopes);
                if (on) scopes.add(one as Scope); else scopes.delete(one as Scope);
                set({ ...now, scopes });
              }} />
            ))}
          </fieldset>
          <Area label={t('token.jails')} rows={2} value={now.jails} set={(jails) => set({ ...now, jails })} error={error('jails')} />
          <Area label={t('token.addresses')} rows={2} value={now.from} set={(from) => set({ ...now, from })} error={error('allowed_ips')} />
          <Text label={t('token.until')} type="date" value={now.day} set={(day) => set({ ...now, day })} error={error('expires_at')} />
        </>
      )}
    </Proved>
  );
}

/** The text of a key: nobody has it after this. So neither Esc nor a click beside it closes this dialog. */
function Made({ name, token, close }: { name: string; token: string; close: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [copied, setCopied] = useState(false);
  // The clipboard of the browser itself is not there without HTTPS.
  const copy = () => {
    box.current!.querySelector('input')!.select();
    setCopied(document.execCommand('copy'));
  };
  return (
    <Dialog title={t('token.made', { name })}>
      <p>{t('token.madeText')}</p>
      <div ref={box}><Text label={t('token.text')} value={token} set={() => undefined} readOnly onFocus={(event) => event.currentTarget.select()} /></div>
      <p>{t('token.how')} <span class="mono">Authorization: Bearer …</span></p>
      <div class="buttons">
        <span role="status" class="muted small">{copied && t('token.copied')}</span>
        <button type="button" onClick={copy}><Icon name="copy" />{t('token.copy')}</button>
        <button type="button" class="primary" onClick={close}>{t('token.have')}</button>
      </div>
    </Dialog>
  );
}
