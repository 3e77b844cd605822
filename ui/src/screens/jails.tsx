// What is watched?
import type { JailSummary } from '../api';
import { ask } from '../dialog';
import { pauseFor } from './pause';
import { clock, duration, Jail } from '../format';
import { Icon } from '../icons';
import { t, number } from '../messages';
import { call, useGet } from '../request';
import { link } from '../router';
import { isAdmin, may } from '../session';
import { attempt, say, Show } from '../status';
import { Table } from '../table';

type Looks = Pick<JailSummary, 'running' | 'enabled' | 'idle' | 'paused_until'>;

export function stateOf(jail: Looks): { word: string; level: string } {
  const until = jail.paused_until;
  if (jail.running) return jail.idle ? { word: until ? t('jail.pausedUntil', { time: clock(Date.parse(until)) }) : t('jail.paused'), level: 'warn' } : { word: t('jail.watching'), level: 'ok' };
  return jail.enabled ? { word: t('jail.stopped'), level: 'bad' } : { word: t('lists.off'), level: 'off' };
}

export function State({ jail }: { jail: Looks }) {
  const { word, level } = stateOf(jail);
  return <span class={`state ${level}`}>{word}</span>;
}

export function Jails() {
  const jails = useGet('GET /jails', {}, 15);
  const all = useGet('GET /config/default', isAdmin() ? {} : null);
  const running = jails.data?.items.filter((jail) => jail.running) ?? [];
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1}>{t('jails.title')}</h1>
        <span class="pair">
          {may('jails') && <button type="button" onClick={() => attempt(async () => {
            await call('POST /jails/reload-all');
            await jails.reload();
            say(t('jails.reloaded'));
          })}>{t('jails.reload')}</button>}
          {may('config') && <a class="button primary" href={link(['new-jail'])}><Icon name="plus" />{t('new.title')}</a>}
        </span>
      </div>
      <p class="sentence">{jails.data ? t('jails.sentence', { n: running.filter((jail) => !jail.idle).length, of: jails.data.total }) : ' '}</p>
      <Show of={jails}>
        {(data) => (
          <Table label={t('jails.title')} rows={[...all.data ? [ALL] : [], ...data.items].sort((a, b) => Number(b === ALL) - Number(a === ALL) || Number(b.running) - Number(a.running) || a.name.localeCompare(b.name))}
            id={(jail) => jail.name} open={(jail) => { location.hash = jail === ALL ? link(['defaults']) : link(['jails', jail.name]); }} empty={<p>{t('jails.none')}</p>}
            columns={[
              { title: t('col.jail'), cell: (jail) => (jail === ALL ? <a href={link(['defaults'])}>{t('bans.allJails')}</a> : <Jail name={jail.name} />), phone: 'main' },
              { title: t('col.state'), cell: (jail) => (jail === ALL ? <span class="muted">{t('jails.allText')}</span> : <State jail={jail} />), phone: 'side' },
              { title: t('col.banned'), right: true, phone: 'sub', cell: (jail) => <Banned jail={jail} /> },
              { title: t('col.failing'), right: true, phone: 'none', cell: (jail) => (jail.status ? number(jail.status.currently_failed) : '–') },
              { title: t('jail.bannedEver'), right: true, phone: 'none', cell: (jail) => (jail.status ? number(jail.status.total_banned) : '–') },
              { title: t('col.rule'), phone: 'subside', cell: (jail) => <Rule of={jail === ALL ? all.data!.default : jail} /> },
            ]} />
        )}
      </Show>
    </>
  );
}

/** The first row: what holds for every jail that says nothing else. */
const ALL: JailSummary = { name: '', enabled: false, running: false, idle: null, backend: null, find_time: null, ban_time: null, max_retry: null, status: null };

function Rule({ of }: { of: { max_retry: number | null; find_time: number | null; ban_time: number | null } }) {
  return <>{of.max_retry === null ? '–' : t('jail.rule', { n: of.max_retry, span: duration(of.find_time), ban: duration(of.ban_time) })}</>;
}

function Banned({ jail }: { jail: JailSummary }) {
  if (!jail.status) return <>{jail === ALL ? '' : '–'}</>;
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
    if (what === 'pause') {
      const rest = await pauseFor(jail.name);
      if (rest === undefined) return;
      await call('POST /jails/{name}/pause', { path, body: { for: rest } });
    }
    if (what === 'resume') await call('POST /jails/{name}/resume', { path });
    await reload();
    const undo = what === 'pause' ? () => jailDo(jail, 'resume', banned, reload) : what === 'stop' ? () => jailDo(jail, 'start', banned, reload) : undefined;
    say(t(({ start: 'jail.didStart', stop: 'jail.didStop', pause: 'jail.didPause', resume: 'jail.didResume', reload: 'jail.didReload' } as const)[what], { name: jail.name }), undo);
  });
}
