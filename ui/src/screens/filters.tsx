// Does my filter catch this line?
import { useState } from 'preact/hooks';
import type { FilterConfig, FilterTestLine, FilterTestResponse } from '../api';
import { Area, Form, Text, useSend } from '../form';
import { t } from '../messages';
import { call, useGet } from '../request';
import { route } from '../router';
import { may } from '../session';
import { Verdict } from '../status';
import { Definitions, DefinitionScreen } from './definitions';
import { dryRun, Review } from './review';

export function Filters() {
  const name = route.use().path[1];
  if (name) return <Filter name={name} />;
  return <Definitions kind="filters" more={[{ title: t('jail.expressions'), right: true, phone: 'none', cell: (one) => ('failregex' in one ? one.failregex.length : '') }]} />;
}

function Filter({ name }: { name: string }) {
  const one = useGet('GET /config/filters/{name}', { path: { name } });
  return (
    <DefinitionScreen kind="filters" name={name} of={one}>
      {(data) => (
        <div class="columns">
          <section><h2>{t('filters.test')}</h2><Tester name={name} /></section>
          <section><h2>{t('jail.expressions')}</h2><Expressions of={data} reload={one.reload} /></section>
        </div>
      )}
    </DefinitionScreen>
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
