// What a screen says beside its data: failures, waiting, and what was done with a way back.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { clock } from './format';
import { Icon } from './icons';
import { t } from './messages';
import { Failure, type Loaded } from './request';
import { store } from './store';

/** What went wrong, where, and what to do. */
export function FailureBox({ failure, retry }: { failure: Failure; retry?: () => void }) {
  const { status, metadata } = failure;
  const away = [502, 503].includes(status);
  const place = [metadata.file, metadata.line && t('failure.line', { line: metadata.line }), metadata.field].filter(Boolean).join(', ');
  return (
    <div class="box bad" role="alert">
      <Icon name="bad" />
      <div>
        {status === 0 && <p><strong>{t('failure.noAnswer')}</strong></p>}
        {away && failure.code !== 'storage_unavailable' && <p><strong>{t('failure.daemon')}</strong></p>}
        {failure.detail && <p>{failure.detail}</p>}
        {place && <p class="mono small">{place}</p>}
        {metadata.remedy && <p>{metadata.remedy}</p>}
        {metadata.errors && metadata.errors.length > 1 && <ul>{metadata.errors.map((one) => <li key={one.source_field}>{one.detail}</li>)}</ul>}
        {status === 429 ? <Countdown seconds={failure.wait} /> : failure.passes && retry && <p class="muted small">{t('failure.again')}</p>}
      </div>
      {retry && <button type="button" onClick={retry}>{t('failure.retry')}</button>}
    </div>
  );
}

function Countdown({ seconds }: { seconds: number }) {
  const [left, set] = useState(seconds);
  useEffect(() => {
    const end = Date.now() + seconds * 1000;
    const timer = setInterval(() => set(Math.max(0, Math.ceil((end - Date.now()) / 1000))), 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return <p role="timer">{left > 0 ? t('failure.wait', { n: left }) : t('failure.now')}</p>;
}

/** Shows what was loaded, with its failure above it: what was there stays, greyed, with its time. */
export function Show<T>({ of, children }: { of: Loaded<T>; children: (data: NonNullable<T>) => ComponentChildren }) {
  const { data, failure, at, loading, reload } = of;
  return (
    <>
      {failure && <FailureBox failure={failure} retry={reload} />}
      {failure && data !== undefined && <p class="muted small">{t('failure.asOf', { time: clock(at) })}</p>}
      {data !== undefined && data !== null
        ? <div class={failure ? 'stale' : undefined}>{children(data as NonNullable<T>)}</div>
        : loading && !failure && <Waiting />}
    </>
  );
}

/** Bars where text will be; words only where it takes longer than a second. */
export function Waiting() {
  const [long, set] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => set(true), 1000);
    return () => clearTimeout(timer);
  }, []);
  return <div class="waiting" role="status">{long && <span class="muted">{t('failure.loading')}</span>}<i /><i /><i /></div>;
}

export interface Said {
  text: string;
  undo?: () => Promise<void> | void;
  bad?: boolean;
}

const said = store<(Said & { id: number }) | null>(null);
let count = 0;
let timer = 0;

/** Says what was done, for some seconds; longer where it can be taken back. */
export function say(text: string, undo?: Said['undo'], bad = false): void {
  count += 1;
  said.set({ text, undo, bad, id: count });
  clearTimeout(timer);
  timer = window.setTimeout(() => said.set(null), undo ? 12_000 : 6000);
}

/** Does something at once; where it fails, says so in the same place. */
export async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(error.detail || t('failure.noAnswer'), undefined, true);
  }
}

export function Toast() {
  const now = said.use();
  return (
    <div class="toasts" role="status" aria-live="polite">
      {now && (
        <div class={`toast${now.bad ? ' bad' : ''}`} key={now.id}>
          <span>{now.text}</span>
          {now.undo && <button type="button" onClick={() => { said.set(null); void attempt(async () => { await now.undo!(); }); }}><Icon name="undo" />{t('action.undo')}</button>}
          <button type="button" class="plain" aria-label={t('action.close')} onClick={() => said.set(null)}><Icon name="close" /></button>
        </div>
      )}
    </div>
  );
}

/** A sentence with a sign of how things are. The sign is never the only one who says it. */
export function Verdict({ level, children }: { level: 'ok' | 'warn' | 'bad' | 'unknown'; children: ComponentChildren }) {
  return <div class={`verdict ${level}`}><Icon name={level === 'unknown' ? 'shield' : level} /><div>{children}</div></div>;
}
