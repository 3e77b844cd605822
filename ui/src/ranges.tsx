// Which time lists and charts of the past are about: a preset, last night, or from one moment to another.
import { useState } from 'preact/hooks';
import type { Range } from './api';
import { Icon } from './icons';
import { clock } from './format';
import { t, type Message } from './messages';
import { filter, route } from './router';

const ALL: Array<[Range, Message]> = [['24h', 'range.day'], ['7d', 'range.week'], ['30d', 'range.month'], ['365d', 'range.year']];

export interface Span { range?: Range; from?: string; to?: string }

/** The time that the address of the screen names. */
export function spanOf(query: Record<string, string>): Span {
  if (query.from) return { from: query.from, ...(query.to ? { to: query.to } : {}) };
  return { range: ALL.some(([name]) => name === query.range) ? query.range as Range : '24h' };
}

/** From ten in the evening to seven in the morning: the one that is over or goes on. */
function lastNight(): Span {
  const end = new Date();
  const isMorning = end.getHours() < 7;
  const start = new Date(end.getFullYear(), end.getMonth(), end.getDate() - 1, 22);
  const morning = new Date(end.getFullYear(), end.getMonth(), end.getDate(), 7);
  return { from: start.toISOString(), to: (isMorning ? end : morning).toISOString() };
}

export function Ranges({ more }: { more?: boolean }) {
  const { query } = route.use();
  const now = spanOf(query);
  const [open, setOpen] = useState(false);
  const set = (next: Span) => filter({ range: next.range, from: next.from, to: next.to });
  return (
    <div class="ranges">
      <div class="segments" role="group" aria-label={t('range.label')}>
        {ALL.map(([name, title]) => <button type="button" key={name} aria-pressed={name === now.range} onClick={() => set({ range: name })}>{t(title)}</button>)}
        {more && <button type="button" aria-pressed={!!now.from} aria-expanded={open} onClick={() => setOpen(!open)}>{t('range.other')}</button>}
      </div>
      {now.from && <Chosen from={now.from} to={now.to} clear={() => set({})} />}
      {open && <FromTo now={now} set={(next) => { set(next); setOpen(false); }} />}
    </div>
  );
}

function Chosen({ from, to, clear }: { from: string; to?: string; clear: () => void }) {
  const text = `${clock(Date.parse(from))} – ${to ? clock(Date.parse(to)) : t('range.now')}`;
  return <button type="button" onClick={clear} aria-label={`${t('range.without')}: ${text}`}>{text}<Icon name="close" /></button>;
}

/** As the browser's own field writes it: `2026-11-27T03:12`, in the time of this device. */
function local(at: string | undefined): string {
  if (!at || Number.isNaN(Date.parse(at))) return '';
  const time = new Date(at);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function FromTo({ now, set }: { now: Span; set: (next: Span) => void }) {
  const [from, setFrom] = useState(local(now.from));
  const [to, setTo] = useState(local(now.to));
  const isWrong = from !== '' && to !== '' && from >= to;
  return (
    <form class="inline three card" onSubmit={(event) => { event.preventDefault(); if (from && !isWrong) set({ from: new Date(from).toISOString(), to: to ? new Date(to).toISOString() : undefined }); }}>
      <button type="button" onClick={() => set(lastNight())}>{t('range.night')}</button>
      <label class="field">{t('range.from')}<input type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} /></label>
      <label class="field">{t('range.to')}<input type="datetime-local" value={to} aria-invalid={isWrong} onInput={(event) => setTo(event.currentTarget.value)} /></label>
      <button class="primary" disabled={!from || isWrong}>{t('range.show')}</button>
    </form>
  );
}
