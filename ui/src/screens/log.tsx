// fail2ban's log: an address leads to what is known of it, a jail to the jail.
import { useState } from 'preact/hooks';
import { t } from '../messages';
import { useGet } from '../request';
import { filter, route } from '../router';
import { Show } from '../status';
import { Address, Jail } from '../format';
import { Check } from '../form';

const LEVELS = ['ERROR', 'WARNING', 'NOTICE', 'INFO'];

export function Log() {
  const { query } = route.use();
  const [text, setText] = useState(query.q ?? '');
  const [follow, setFollow] = useState(true);
  const log = useGet('GET /config/fail2ban-log', { query: { lines: 500, filter: query.q || undefined } }, follow ? 5 : 0);
  return (
    <>
      <h1 tabIndex={-1}>{t('log.title')}</h1>
      <form class="filters" onSubmit={(event) => { event.preventDefault(); filter({ q: text }); }}>
        <input type="search" value={text} aria-label={t('log.search')} placeholder={t('log.search')} onInput={(event) => {
          setText(event.currentTarget.value);
          if (event.currentTarget.value === '') filter({ q: undefined }, true);
        }} />
        <select aria-label={t('log.level')} value={query.level ?? ''} onChange={(event) => filter({ level: event.currentTarget.value })}>
          <option value="">{t('log.every')}</option>
          {LEVELS.map((level) => <option key={level} value={level}>{level}</option>)}
        </select>
        <Check label={t('log.follow')} on={follow} set={setFollow} />
      </form>
      <Show of={log}>
        {(data) => {
          const lines = data.lines.filter((line) => !query.level || line.includes(` ${query.level}`)).reverse();
          return (
            <>
              <p class="muted small break">{t('log.of', { path: data.log_path, n: lines.length })}</p>
              {lines.length === 0 ? <p class="muted">{t('log.none')}</p> : <ol class="lines">{lines.map((line, index) => <Line key={`${index} ${line}`} line={line} />)}</ol>}
            </>
          );
        }}
      </Show>
    </>
  );
}

const SHAPE = /^(\S+ \S+?)(?:,\d+)? (fail2ban\.\S*)\s*\[\d+\]:\s*(\w+)\s+(.*)$/;
/** A jail, or an address; a time of day looks like the beginning of one. */
const INSIDE = /(\[[\w.@-]+\])|(\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?!\d\d:\d\d:\d\d(?![:\w]))[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\b)/gi;

function Line({ line }: { line: string }) {
  const found = SHAPE.exec(line);
  if (!found) return <li><span>{line}</span></li>;
  const [, time, , level, text] = found as unknown as string[];
  return <li class={level!.toLowerCase()}><time>{time}</time><b>{level}</b><span>{linked(text!)}</span></li>;
}

function linked(text: string) {
  const all: Array<string | preact.JSX.Element> = [];
  let end = 0;
  for (const found of text.matchAll(INSIDE)) {
    all.push(text.slice(end, found.index));
    if (found[1]) all.push('[', <Jail key={found.index} name={found[1].slice(1, -1)} />, ']');
    else all.push(<Address key={found.index} ip={found[2]!} />);
    end = found.index + found[0].length;
  }
  return [...all, text.slice(end)];
}
