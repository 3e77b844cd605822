// What is done with who is banned. What stands in an action is run by root, so changing it is a right of its own.
import { useEffect, useState } from 'preact/hooks';
import type { ActionConfig, ActionUpdate } from '../api';
import { Area, Form, Text } from '../form';
import { t, type Message } from '../messages';
import { call, useGet } from '../request';
import { link, route } from '../router';
import { may, meta } from '../session';
import { Show, Verdict } from '../status';
import { Search, Table } from '../table';
import { FilterTabs, Origin, UsedBy } from './filters';
import { dryRun, Review } from './review';

const COMMANDS = ['actionstart', 'actionstop', 'actioncheck', 'actionban', 'actionunban', 'actionflush'] as const;
const WHEN: Record<(typeof COMMANDS)[number], Message> = {
  actionstart: 'actions.start', actionstop: 'actions.stop', actioncheck: 'actions.check', actionban: 'actions.ban', actionunban: 'actions.unban', actionflush: 'actions.flush',
};

export function Actions() {
  const { path, query } = route.use();
  if (path[1]) return <Action name={path[1]} />;
  return <List q={query.q ?? ''} page={query.page ?? '1'} />;
}

function List({ q, page }: { q: string; page: string }) {
  const actions = useGet('GET /config/actions', { query: { q, page, page_size: 25, sort: '-active' } });
  return (
    <>
      <h1 tabIndex={-1}>{t('actions.title')}</h1>
      <FilterTabs at="actions" />
      <p class="sentence">{actions.data ? t('actions.sentence', { n: actions.data.pagination.total }) : ' '}</p>
      <Search label={t('actions.search')} />
      <Show of={actions}>
        {(data) => (
          <Table label={t('actions.title')} rows={data.items} id={(one) => one.name} open={(one) => { location.hash = link(['actions', one.name]); }} empty={<p>{t('actions.none')}</p>}
            pagination={data.pagination} dim={actions.loading}
            columns={[
              { title: t('actions.one'), cell: (one) => <a href={link(['actions', one.name])}>{one.name}</a>, phone: 'main' },
              { title: t('filters.used'), phone: 'sub', cell: (one) => <UsedBy jails={one.used_by_jails} /> },
              { title: t('filters.origin'), phone: 'side', cell: (one) => <Origin local={one.has_local_override} /> },
            ]} />
        )}
      </Show>
    </>
  );
}

function Action({ name }: { name: string }) {
  const one = useGet('GET /config/actions/{name}', { path: { name } });
  return (
    <>
      <p class="crumb"><a href={link(['actions'])}>{t('actions.title')}</a></p>
      <h1 tabIndex={-1}>{name}</h1>
      <Show of={one}>
        {(data) => (
          <>
            <p class="sentence">{data.used_by_jails.length > 0 ? t('filters.usedBy', { list: data.used_by_jails.join(', ') }) : t('actions.unused')}</p>
            <Verdict level="warn"><p>{t('actions.root')}{!meta.get()?.action_edit_allowed && ` ${t('actions.locked')}`}</p></Verdict>
            {data.problem && <Verdict level="bad"><p>{data.problem}</p></Verdict>}
            {data.warnings.map((text) => <Verdict key={text} level="warn"><p>{text}</p></Verdict>)}
            {may('actions') ? <Editor of={data} reload={one.reload} /> : COMMANDS.filter((command) => data.effective[command]).map((command) => (
              <section key={command}><h2>{t(WHEN[command])}</h2><pre class="log" tabIndex={0} aria-label={t(WHEN[command])}>{data.effective[command]}</pre></section>
            ))}
          </>
        )}
      </Show>
    </>
  );
}

function Editor({ of, reload }: { of: ActionConfig; reload: () => Promise<void> }) {
  const texts = (action: ActionConfig) => ({ ...Object.fromEntries(COMMANDS.map((command) => [command, action[command] ?? ''])), ...action.init_vars } as Record<string, string>);
  const before = texts(of);
  const [now, set] = useState(before);
  const [review, setReview] = useState(false);
  useEffect(() => set(texts(of)), [of]);
  const changed = Object.keys(now).filter((key) => now[key] !== before[key]);
  const isCommand = (key: string) => (COMMANDS as readonly string[]).includes(key);
  const vars = changed.filter((key) => !isCommand(key));
  const body: ActionUpdate = {
    ...Object.fromEntries(changed.filter(isCommand).map((key) => [key, now[key] || null])),
    ...(vars.length > 0 ? { init_vars: Object.fromEntries(vars.map((key) => [key, now[key]!])) } : {}),
  };
  const path = { name: of.name };
  return (
    <Form send={() => setReview(true)}>
      {COMMANDS.map((command) => <Area key={command} label={t(WHEN[command])} value={now[command]!} set={(value) => set({ ...now, [command]: value })} rows={Math.min(8, Math.max(2, now[command]!.split('\n').length))} />)}
      {Object.keys(of.init_vars).length > 0 && (
        <details>
          <summary>{t('actions.parameters')}</summary>
          {Object.keys(of.init_vars).map((key) => <Text key={key} label={key} value={now[key]!} set={(value) => set({ ...now, [key]: value })} />)}
        </details>
      )}
      <p class="muted small break">{of.source_file}</p>
      <div class="buttons sticky"><button class="primary" disabled={changed.length === 0}>{t('edit.review')}</button></div>
      {review && <Review close={() => setReview(false)} done={reload}
        preview={() => dryRun(call('PUT /config/actions/{name}', { path, query: { dry_run: true }, body }))}
        apply={() => call('PUT /config/actions/{name}', { path, body })} />}
    </Form>
  );
}
