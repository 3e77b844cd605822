// Does my filter catch this line?
import { useState } from 'preact/hooks';
import type { FilterConfig, FilterTestLine, FilterTestResponse } from '../api';
import { Area, Form, Text, useSend } from '../form';
import { Jail } from '../format';
import { t } from '../messages';
import { call, useGet } from '../request';
import { link, route } from '../router';
import { may } from '../session';
import { Show, Verdict } from '../status';
import { Search, Table } from '../table';
import { dryRun, Review } from './review';

export function Filters() {
  const { path, query } = route.use();
  if (path[1]) return <Filter name={path[1]} />;
  return <List q={query.q ?? ''} />;
}

function List({ q }: { q: string }) {
  const { query } = route.use();
  const filters = useGet('GET /config/filters', { query: { q, page: query.page ?? 1, page_size: 25, sort: '-active' } });
  return (
    <>
      <h1 tabIndex={-1}>{t('filters.title')}</h1>
      <FilterTabs at="filters" />
      <p class="sentence">{filters.data ? t('filters.sentence', { n: filters.data.pagination.total }) : ' '}</p>
      <Search label={t('filters.search')} />
      <Show of={filters}>
        {(data) => (
          <Table label={t('filters.title')} rows={data.items} id={(one) => one.name} open={(one) => { location.hash = link(['filters', one.name]); }} empty={<p>{t('filters.none')}</p>}
            pagination={data.pagination} dim={filters.loading}
            columns={[
              { title: t('col.filter'), cell: (one) => <a href={link(['filters', one.name])}>{one.name}</a>, phone: 'main' },
              { title: t('filters.used'), phone: 'sub', cell: (one) => <UsedBy jails={one.used_by_jails} /> },
              { title: t('filters.origin'), phone: 'side', cell: (one) => <Origin local={one.has_local_override} /> },
              { title: t('jail.expressions'), right: true, phone: 'none', cell: (one) => one.failregex.length },
            ]} />
        )}
      </Show>
    </>
  );
}

/** Filters and actions are two halves of one thing. */
export function FilterTabs({ at }: { at: 'filters' | 'actions' }) {
  return (
    <nav class="tabs" aria-label={t('filters.tabs')}>
      {(['filters', 'actions'] as const).map((name) => <a key={name} href={link([name])} aria-current={name === at ? 'page' : undefined}>{t(name === 'filters' ? 'filters.title' : 'actions.title')}</a>)}
    </nav>
  );
}

export function UsedBy({ jails }: { jails: string[] }) {
  if (jails.length === 0) return <span class="muted">{t('filters.unused')}</span>;
  return <>{jails.map((name, index) => <>{index > 0 && ', '}<Jail name={name} /></>)}</>;
}

export function Origin({ local }: { local: boolean }) {
  return local ? <span class="tag">{t('jail.local')}</span> : <span class="muted">{t('filters.shipped')}</span>;
}

function Filter({ name }: { name: string }) {
  const one = useGet('GET /config/filters/{name}', { path: { name } });
  return (
    <>
      <p class="crumb"><a href={link(['filters'])}>{t('filters.title')}</a></p>
      <h1 tabIndex={-1}>{name}</h1>
      <Show of={one}>
        {(data) => (
          <>
            <p class="sentence">{data.used_by_jails.length > 0 ? t('filters.usedBy', { list: data.used_by_jails.join(', ') }) : t('filters.unusedText')}</p>
            {data.problem && <Verdict level="bad"><p>{data.problem}</p></Verdict>}
            {data.warnings.map((one) => <Verdict key={one} level="warn"><p>{one}</p></Verdict>)}
            <div class="columns">
              <section><h2>{t('filters.test')}</h2><Tester name={name} /></section>
              <section><h2>{t('jail.expressions')}</h2><Expressions of={data} reload={one.reload} /></section>
            </div>
          </>
        )}
      </Show>
    </>
  );
}

function Expressions({ of, reload }: { of: FilterConfig; reload: () => Promise<void> }) {
  const [fail, setFail] = useState(of.failregex.join('\n'));
  const [ignore, setIgnore] = useState(of.ignoreregex.join('\n'));
  const [review, setReview] = useState(false);
  const list = (text: string) => text.split('\n').map((line) => line.trim()).filter(Boolean);
  const body = { failregex: list(fail), ignoreregex: list(ignore) };
  const isChanged = fail !== of.failregex.join('\n') || ignore !== of.ignoreregex.join('\n');
  if (!may('config')) return <pre class="log" tabIndex={0} aria-label={t('edit.failregex')}>{of.effective_failregex.join('\n')}</pre>;
  return (
    <Form send={() => setReview(true)}>
      <Area label={t('edit.failregex')} value={fail} set={setFail} rows={8} hint={t('filters.host')} />
      <Area label={t('edit.ignoreregex')} value={ignore} set={setIgnore} rows={2} />
      <p class="muted small break">{of.source_file}</p>
      <div class="buttons"><button class="primary" disabled={!isChanged}>{t('edit.review')}</button></div>
      {review && <Review close={() => setReview(false)} done={reload}
        preview={() => dryRun(call('PUT /config/filters/{name}', { path: { name: of.name }, query: { dry_run: true }, body }))}
        apply={() => call('PUT /config/filters/{name}', { path: { name: of.name }, body })} />}
    </Form>
  );
}

function Tester({ name }: { name: string }) {
  const { query } = route.use();
  const [text, setText] = useState(query.line ?? '');
  const [log, setLog] = useState('');
  const [options, setOptions] = useState('');
  const [result, setResult] = useState<FilterTestResponse>();
  const { busy, failure, send } = useSend();
  const lines = text.split('\n').filter((line) => line.trim());
  return (
    <>
      <Form failure={failure} fields={['lines', 'log_path', 'options']} send={() => send(async () => {
        setResult(await call('POST /config/filters/{name}/test', {
          path: { name }, body: { ...(lines.length > 0 ? { lines } : { log_path: log.trim(), num_lines: 200 }), ...(options.trim() ? { options: options.trim() } : {}) },
        }));
      })}>
        <Area label={t('filters.lines')} value={text} set={setText} rows={5} error={failure?.of('lines')} />
        {lines.length === 0 && <Text label={t('filters.log')} value={log} set={setLog} error={failure?.of('log_path')} placeholder="/var/log/auth.log" />}
        <details><summary>{t('filters.options')}</summary><Text label={t('filters.options')} value={options} set={setOptions} placeholder="mode=aggressive" error={failure?.of('options')} /></details>
        <button class="primary" disabled={busy || (lines.length === 0 && !log.trim())}>{t('filters.go')}</button>
      </Form>
      {result && (
        <div role="status">
          <p><strong>{t('filters.matched', { n: result.matched_count, of: result.total_lines })}</strong></p>
          {result.hint && <Verdict level="warn"><p>{result.hint}</p></Verdict>}
          {result.warnings.map((one) => <Verdict key={one} level="warn"><p>{one}</p></Verdict>)}
          <ol class="tested">{result.results.slice(0, 100).map((line, index) => <Line key={index} line={line} />)}</ol>
        </div>
      )}
    </>
  );
}

function Line({ line }: { line: FilterTestLine }) {
  const level = line.ignored ? 'off' : line.matched ? 'ok' : 'bad';
  const word = t(line.ignored ? 'filters.ignored' : line.matched ? 'filters.hit' : 'filters.missed');
  return (
    <li>
      <p><span class={`state ${level}`}>{word}</span> {line.host && <strong class="address">{line.host}</strong>} {line.user && <>{t('filters.user', { name: line.user })} </>}
        {line.failregex !== null && <span class="muted">{t('filters.which', { n: line.failregex + 1 })}</span>}</p>
      <pre class="log">{marked(line)}</pre>
      {line.hint && <p class="small">{line.hint}</p>}
    </li>
  );
}

/** The line with what was found in it: the date, the address, the user. */
function marked(line: FilterTestLine) {
  const found = [line.date, line.host, line.user].filter((one): one is string => !!one);
  const all: Array<string | preact.JSX.Element> = [];
  let rest = line.line;
  let offset = 0;
  for (const one of found.map((text) => ({ text, at: line.line.indexOf(text) })).filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)) {
    if (one.at < offset) continue;
    all.push(rest.slice(0, one.at - offset), <mark key={one.at}>{one.text}</mark>);
    rest = rest.slice(one.at - offset + one.text.length);
    offset = one.at + one.text.length;
  }
  return [...all, rest];
}
