// How the page looks here, and what the daemon does as a whole.
import { useEffect, useState } from 'preact/hooks';
import type { LogLevel } from '../api';
import { ask } from '../dialog';
import { DaemonProblem } from '../daemon';
import { duration, parseDuration, zone } from '../format';
import { Check, Choice, Form, Span, Text, useSend } from '../form';
import { keysOn } from '../keys';
import { setTheme, theme } from '../main';
import { language, languages, speak, t, number, type Message } from '../messages';
import { call, useGet } from '../request';
import { may, meta } from '../session';
import { attempt, say, Show, Verdict } from '../status';

export function Settings() {
  return (
    <>
      <h1 tabIndex={-1}>{t('settings.title')}</h1>
      <div class="cards">
        <section class="card"><h2>{t('settings.display')}</h2><Display /></section>
        <section class="card"><h2>{t('settings.daemon')}</h2><Daemon /></section>
        <section class="card"><h2>{t('overview.countries')}</h2><Countries /></section>
        <section class="card"><h2>{t('settings.about')}</h2><About /></section>
      </div>
    </>
  );
}

function Display() {
  const now = { theme: theme.use(), zone: zone.use(), language: language.use(), keys: keysOn.use() };
  return (
    <>
      <Choice label={t('settings.theme')} value={now.theme} set={setTheme} options={[['auto', t('settings.auto')], ['light', t('settings.light')], ['dark', t('settings.dark')]]} />
      <Choice label={t('settings.language')} value={now.language} set={(name) => { language.set(name); void speak(name); }} options={languages} />
      <Choice label={t('settings.times')} value={now.zone} set={zone.set} options={[
        ['browser', t('settings.browser')], ['server', t('settings.server', { zone: meta.get()?.timezone ?? 'UTC' })], ['utc', 'UTC'],
      ]} />
      <Check label={t('settings.keys')} on={now.keys === 'on'} set={(on) => keysOn.set(on ? 'on' : 'off')} />
    </>
  );
}

function Daemon() {
  const service = useGet('GET /config/service-status', {}, 15);
  const settings = useGet('GET /server/settings', service.data?.online ? {} : null);
  return (
    <>
      <Show of={service}>
        {(now) => (now.online
          ? <p>{t('settings.runs', { version: now.version ?? '' })}</p>
          : <DaemonProblem service={now} reload={service.reload} />)}
      </Show>
      <Show of={settings}>
        {(data) => (
          <>
            {data.warnings.db_purge_age_too_low && <Verdict level="warn"><p>{t('settings.purgeLow')}</p></Verdict>}
            <DaemonForm key={JSON.stringify(data.settings)} level={data.settings.log_level} target={data.settings.log_target} purge={data.settings.db_purge_age} reload={settings.reload} />
          </>
        )}
      </Show>
      {may('config') && service.data?.online && (
        <div class="buttons">
          <button type="button" onClick={() => attempt(async () => { await call('POST /config/reload'); say(t('settings.reloaded')); await service.reload(); })}>{t('settings.reload')}</button>
          <button type="button" onClick={() => attempt(async () => {
            if (!await ask(t('settings.restart'), t('settings.restartText'), t('settings.restart'))) return;
            say(t('daemon.starting'));
            await call('POST /config/restart');
            say(t('daemon.started'));
            await service.reload();
          })}>{t('settings.restart')}</button>
        </div>
      )}
    </>
  );
}

function DaemonForm({ level, target, purge, reload }: { level: string; target: string; purge: number | null; reload: () => Promise<void> }) {
  const [now, set] = useState({ level, target, purge: purge === null ? '' : duration(purge) });
  useEffect(() => set({ level, target, purge: purge === null ? '' : duration(purge) }), [level, target, purge]);
  const { busy, failure, send } = useSend();
  if (!may('config')) return <dl class="facts"><div><dt>{t('log.level')}</dt><dd>{level}</dd></div><div><dt>{t('settings.target')}</dt><dd class="mono">{target}</dd></div></dl>;
  const seconds = parseDuration(now.purge);
  return (
    <Form failure={failure} fields={['log_level', 'log_target', 'db_purge_age']} send={() => send(async () => {
      await call('PUT /config/global', { body: {
        ...(now.level !== level ? { log_level: now.level as LogLevel } : {}), ...(now.target !== target ? { log_target: now.target } : {}),
        ...(purge !== null && seconds !== purge ? { db_purge_age: seconds } : {}),
      } });
      await reload();
      say(t('settings.saved'));
    })}>
      <Choice label={t('log.level')} value={now.level} set={(value) => set({ ...now, level: value })} error={failure?.of('log_level')}
        options={[...new Set(['CRITICAL', 'ERROR', 'WARNING', 'NOTICE', 'INFO', 'DEBUG', level])].map((one) => [one, one])} />
      <Text label={t('settings.target')} value={now.target} set={(value) => set({ ...now, target: value })} error={failure?.of('log_target')} />
      {purge !== null && <Span label={t('settings.purge')} value={now.purge} set={(value) => set({ ...now, purge: value })} error={failure?.of('db_purge_age')} />}
      <button disabled={busy || (now.level === level && now.target === target && (purge === null || seconds === purge))}>{t('action.save')}</button>
    </Form>
  );
}

function Countries() {
  const stats = useGet('GET /geo/stats', {}, 60);
  return (
    <Show of={stats}>
      {(data) => (data.database
        ? <dl class="facts">
          <div><dt>{t('settings.file')}</dt><dd class="mono break">{data.database.path}</dd></div>
          <div><dt>{t('settings.built')}</dt><dd>{data.database.built_at.slice(0, 10)}</dd></div>
        </dl>
        : <><p>{t('settings.noCountries')}</p><p class="mono small">bangui geo update</p></>)}
    </Show>
  );
}

const LIMITS: Record<string, Message> = { changes: 'limits.changes', channels: 'tell.title', devices: 'limits.devices', never_ban: 'limits.never_ban', sessions: 'limits.sessions', sources: 'lists.title', users: 'access.people' };

function About() {
  const now = meta.use()!;
  return (
    <>
      <dl class="facts">
        <div><dt>bangui</dt><dd>{now.version}</dd></div>
        <div><dt>{t('settings.you')}</dt><dd>{now.client.address ?? '–'}</dd></div>
        {Object.entries(now.limits ?? {}).map(([name, room]) => <div key={name}><dt>{name in LIMITS ? t(LIMITS[name]!) : name}</dt><dd>{number(room.used)} / {number(room.limit)}</dd></div>)}
      </dl>
      <p><a href="api/v1/openapi.json">{t('settings.api')}</a></p>
      <details>
        <summary>{t('settings.licences')}</summary>
        <p class="small">bangui: MIT OR Apache-2.0. Preact: MIT, © 2015-present Jason Miller. {t('settings.mapLicence')}</p>
      </details>
    </>
  );
}
