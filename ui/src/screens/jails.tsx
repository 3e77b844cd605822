// What is watched?
import type { JailSummary } from '../api';
import { ask } from '../dialog';
import { duration, Jail } from '../format';
import { t, number } from '../messages';
import { call, useGet } from '../request';
import { link } from '../router';
import { may } from '../session';
import { attempt, say, Show } from '../status';
import { Table } from '../table';

export function stateOf(jail: { running: boolean; enabled: boolean; idle: boolean | null }): { word: string; level: string } {
  if (jail.running) return jail.idle ? { word: t('jail.paused'), level: 'warn' } : { word: t('jail.watching'), level: 'ok' };
  return jail.enabled ? { word: t('jail.stopped'), level: 'bad' } : { word: t('jail.off'), level: 'off' };
}

export function State({ jail }: { jail: { running: boolean; enabled: boolean; idle: boolean | null } }) {
  const { word, level } = stateOf(jail);
  return <span class={`state ${level}`}>{word}</span>;
}

export function Jails() {
  const jails = useGet('GET /jails', {}, 15);
  const running = jails.data?.items.filter((jail) => jail.running) ?? [];
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1}>{t('jails.title')}</h1>
        {may('jails') && <button type="button" onClick={() => attempt(async () => {
          await call('POST /jails/reload-all');
          await jails.reload();
          say(t('jails.reloaded'));
        })}>{t('jails.reload')}</button>}
      </div>
      <p class="sentence">{jails.data ? t('jails.sentence', { n: running.filter((jail) => !jail.idle).length, of: jails.data.total }) : ' '}</p>
      <Show of={jails}>
        {(data) => (
          <Table label={t('jails.title')} rows={[...data.items].sort((a, b) => Number(b.running) - Number(a.running) || a.name.localeCompare(b.name))}
            id={(jail) => jail.name} open={(jail) => { location.hash = link(['jails', jail.name]); }} empty={<p>{t('jails.none')}</p>}
            columns={[
              { title: t('col.jail'), cell: (jail) => <Jail name={jail.name} />, phone: 'main' },
              { title: t('col.state'), cell: (jail) => <State jail={jail} />, phone: 'side' },
              { title: t('col.banned'), right: true, phone: 'sub', cell: (jail) => <Banned jail={jail} /> },
              { title: t('col.failing'), right: true, phone: 'none', cell: (jail) => (jail.status ? number(jail.status.currently_failed) : '–') },
              { title: t('col.ever'), right: true, phone: 'none', cell: (jail) => (jail.status ? number(jail.status.total_banned) : '–') },
              { title: t('col.rule'), phone: 'subside', cell: (jail) => (jail.max_retry === null ? '–' : t('jail.rule', { n: jail.max_retry, span: duration(jail.find_time), ban: duration(jail.ban_time) })) },
            ]} />
        )}
      </Show>
    </>
  );
}

function Banned({ jail }: { jail: JailSummary }) {
  if (!jail.status) return <>–</>;
  return <a href={link(['bans'], { jail: jail.name })}>{number(jail.status.currently_banned)}<span class="phone-only"> {t('jail.bannedWord')}</span></a>;
}

/** Starts, stops, pauses: what may cost bans asks first. */
export function jailDo(jail: { name: string }, what: 'start' | 'stop' | 'pause' | 'resume' | 'reload', banned: number, reload: () => Promise<void>): Promise<void> {
  const path = { name: jail.name };
  return attempt(async () => {
    if (what === 'stop' && !await ask(t('jail.stopTitle', { name: jail.name }), t('jail.stopText', { n: banned }), t('jail.stop'))) return;
    if (what === 'start') await call('POST /jails/{name}/start', { path });
    if (what === 'stop') await call('POST /jails/{name}/stop', { path });
    if (what === 'reload') await call('POST /jails/{name}/reload', { path });
    if (what === 'pause' || what === 'resume') await call('POST /jails/{name}/idle', { path, body: { on: what === 'pause' } });
    await reload();
    const undo = what === 'pause' ? () => jailDo(jail, 'resume', banned, reload) : what === 'stop' ? () => jailDo(jail, 'start', banned, reload) : undefined;
    say(t(({ start: 'jail.didStart', stop: 'jail.didStop', pause: 'jail.didPause', resume: 'jail.didResume', reload: 'jail.didReload' } as const)[what], { name: jail.name }), undo);
  });
}
