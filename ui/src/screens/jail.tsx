// Does this jail work? What it watches, whom it holds, and whom it never bans.
import { useState } from 'preact/hooks';
import { duration, durationWords } from '../format';
import { Icon } from '../icons';
import { t, number } from '../messages';
import { Steps } from '../protection';
import { call, Failure, useGet } from '../request';
import { link, route } from '../router';
import { isAdmin, may } from '../session';
import { attempt, say, Show, Waiting } from '../status';
import { jailDo, State } from './jails';
import { Proving } from './prove';
import { Text, useSend, Form } from '../form';

export function JailScreen() {
  const name = route.use().path[1]!;
  const jail = useGet('GET /jails/{name}', { path: { name } }, 15);
  const check = useGet('GET /jails/{name}/check', { path: { name } }, 20);
  const [isProving, setProving] = useState(false);
  const files = useGet('GET /config/jails/{name}/files', isAdmin() ? { path: { name } } : null);
  return (
    <>
      <p class="crumb"><a href={link(['jails'])}>{t('jails.title')}</a></p>
      <h1 tabIndex={-1}>{name}</h1>
      {/* What comes later would push the rest away. */}
      {jail.data && !check.data && !check.failure ? <Waiting /> : <Show of={jail}>
        {({ jail: now, ignore_list: ignored }) => {
          const banned = now.status?.currently_banned ?? 0;
          const act = (what: Parameters<typeof jailDo>[1]) => jailDo(now, what, banned, jail.reload);
          return (
            <>
              <p class="sentence"><State jail={now} /> {now.running && !now.idle && now.max_retry !== null && now.find_time !== null && now.ban_time !== null
                ? t('jail.sentence', { n: now.max_retry, span: durationWords(now.find_time), ban: durationWords(now.ban_time) })
                : now.problem ?? t(now.running ? 'jail.pausedText' : 'jail.stoppedText')}</p>
              {may('bans') && (
                <div class="buttons">
                  {may('config') && <a class="button primary" href={link(['jails', name, 'edit'])}>{t('jail.edit')}</a>}
                  {now.running && (now.idle
                    ? <button type="button" onClick={() => act('resume')}>{t('jail.resume')}</button>
                    : <button type="button" onClick={() => act('pause')}>{t('jail.pause')}</button>)}
                  {may('jails') && (now.running ? <button type="button" onClick={() => act('reload')}>{t('jail.reload')}</button> : <button type="button" onClick={() => act('start')}>{t('jail.start')}</button>)}
                  {now.running && <button type="button" onClick={() => setProving(true)}>{t('prove.open')}</button>}
                  {now.running && may('jails') && <button type="button" class="danger" onClick={() => act('stop')}>{t('jail.stop')}</button>}
                </div>
              )}
              {now.status && (
                <dl class="numbers">
                  <div><dt><a href={link(['bans'], { jail: name })}>{t('bans.now')}</a></dt><dd>{number(now.status.currently_banned)}</dd></div>
                  <div><dt>{t('col.failing')}</dt><dd>{number(now.status.currently_failed)}</dd></div>
                  <div><dt><a href={link(['history'], { jail: name })}>{t('jail.bannedEver')}</a></dt><dd>{number(now.status.total_banned)}</dd></div>
                  <div><dt>{t('jail.failedEver')}</dt><dd>{number(now.status.total_failed)}</dd></div>
                </dl>
              )}
              <div class="cards">
                {now.running && <section class="card wide"><h2>{t('jail.works')}</h2><Steps now={check} /></section>}
                <section class="card">
                  <h2>{t('jail.watches')}</h2>
                  <dl class="facts">
                    {(now.log_paths ?? []).length > 0 && <div><dt>{t('jail.logs')}</dt><dd>{now.log_paths!.map((path) => <div class="mono" key={String(path)}>{String(path)}</div>)}</dd></div>}
                    {(now.journal_match ?? []).length > 0 && <div><dt>{t('jail.journal')}</dt><dd>{now.journal_match!.map((one) => <div class="mono" key={one.join()}>{one.join(' ')}</div>)}</dd></div>}
                    <div><dt>{t('jail.backend')}</dt><dd>{now.backend ?? '–'}</dd></div>
                    <div><dt>{t('jail.expressions')}</dt><dd>{t('jail.expressionCount', { n: now.fail_regex?.length ?? 0 })}</dd></div>
                    <div><dt>{t('actions.title')}</dt><dd>{(now.actions ?? []).map(String).join(', ') || '–'}</dd></div>
                    {now.bantime_escalation?.increment && <div><dt>{t('edit.increment')}</dt><dd>{t('jail.longerYes', { most: duration(now.bantime_escalation.max_time) })}</dd></div>}
                  </dl>
                </section>
                <section class="card">
                  <h2>{t('jail.never')}</h2>
                  <Ignored name={name} list={(ignored ?? []).map(String)} reload={jail.reload} running={now.running} />
                </section>
                {files.data && files.data.items.length > 0 && (
                  <section class="card wide">
                    <h2>{t('jail.files')}</h2>
                    <ul class="plainlist">{files.data.items.map((file) => <li key={file.path}><span class="mono">{file.path}</span> {file.is_local && <span class="tag">{t('jail.local')}</span>}</li>)}</ul>
                  </section>
                )}
              </div>
            </>
          );
        }}
      </Show>}
      {isProving && <Proving name={name} close={() => setProving(false)} />}
    </>
  );
}

function Ignored({ name, list, reload, running }: { name: string; list: string[]; reload: () => Promise<void>; running: boolean }) {
  const [entry, setEntry] = useState('');
  const { busy, failure, send } = useSend();
  const path = { name };
  const remove = (ip: string) => attempt(async () => {
    await call('DELETE /jails/{name}/ignoreip', { path, body: { ip } });
    await reload();
    say(t('jail.ignoreGone', { ip }), async () => {
      await call('POST /jails/{name}/ignoreip', { path, body: { ip } });
      await reload();
    });
  });
  return (
    <>
      {list.length === 0 ? <p class="muted">{t('jail.ignoreNone')}</p> : (
        <ul class="plainlist">
          {list.map((ip) => (
            <li key={ip} class="pair"><span class="address">{ip}</span>
              {may('jails') && running && <button type="button" class="plain" aria-label={t('jail.ignoreRemove', { ip })} onClick={() => remove(ip)}><Icon name="close" /></button>}
            </li>
          ))}
        </ul>
      )}
      {may('jails') && running && (
        <Form failure={failure instanceof Failure && !failure.of('ip') ? failure : undefined} send={() => send(async () => {
          await call('POST /jails/{name}/ignoreip', { path, body: { ip: entry.trim() } });
          setEntry('');
          await reload();
        })}>
          <div class="inline">
            <Text label={t('jail.ignoreAdd')} value={entry} set={setEntry} error={failure?.of('ip')} />
            <button disabled={busy || !entry.trim()}>{t('action.add')}</button>
          </div>
        </Form>
      )}
    </>
  );
}
