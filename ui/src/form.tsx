// Fields with their labels, hints and errors; a form that says what is wrong at the field, and otherwise in a box.
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useId } from 'preact/hooks';
import { parseDuration, duration } from './format';
import { t } from './messages';
import { Failure } from './request';
import { FailureBox } from './status';

interface Common {
  label: string;
  hint?: ComponentChildren;
  error?: string;
}

function Frame({ label, hint, error, id, children }: Common & { id: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {error ? <p class="wrong" id={`${id}-note`}>{error}</p> : hint ? <p class="hint" id={`${id}-note`}>{hint}</p> : null}
    </div>
  );
}

type TextProps = Common & { value: string; set: (value: string) => void } & Omit<JSX.InputHTMLAttributes<HTMLInputElement>, 'value' | 'label'>;

export function Text({ label, hint, error, value, set, ...rest }: TextProps) {
  const id = useId();
  return (
    <Frame label={label} hint={hint} error={error} id={id}>
      <input id={id} value={value} aria-invalid={!!error} aria-describedby={hint || error ? `${id}-note` : undefined}
        autoCapitalize="off" spellcheck={false} {...rest} onInput={(event) => set(event.currentTarget.value)} />
    </Frame>
  );
}

export function Area({ label, hint, error, value, set, rows = 4 }: Common & { value: string; set: (value: string) => void; rows?: number }) {
  const id = useId();
  return (
    <Frame label={label} hint={hint} error={error} id={id}>
      <textarea id={id} rows={rows} value={value} aria-invalid={!!error} aria-describedby={hint || error ? `${id}-note` : undefined}
        spellcheck={false} onInput={(event) => set(event.currentTarget.value)} />
    </Frame>
  );
}

export function Choice({ label, hint, error, value, set, options }: Common & { value: string; set: (value: string) => void; options: Array<[string, string]> }) {
  const id = useId();
  return (
    <Frame label={label} hint={hint} error={error} id={id}>
      <select id={id} value={value} aria-describedby={hint || error ? `${id}-note` : undefined} onChange={(event) => set(event.currentTarget.value)}>
        {options.map(([name, title]) => <option key={name} value={name}>{title}</option>)}
      </select>
    </Frame>
  );
}

export function Check({ label, hint, on, set }: { label: ComponentChildren; hint?: string; on: boolean; set: (on: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} />
      <span>{label}{hint && <span class="hint">{hint}</span>}</span>
    </label>
  );
}

/** A span of time as people write it; what it was understood as stands below. */
export function Span({ label, value, set, error, hint }: Common & { value: string; set: (value: string) => void }) {
  const seconds = value === '' ? undefined : parseDuration(value);
  const wrong = value !== '' && seconds === undefined ? t('form.span') : error;
  const read = seconds === undefined || duration(seconds) === value.trim() ? hint : `= ${duration(seconds)}`;
  return <Text label={label} value={value} set={set} error={wrong} hint={read} inputMode="text" placeholder="10m" />;
}

/** What a form does when it is sent: runs once at a time, and keeps what went wrong. */
export function useSend(): { busy: boolean; failure: Failure | undefined; send: (work: () => Promise<void>) => Promise<void>; clear: () => void } {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  return {
    busy,
    failure,
    clear: () => setFailure(undefined),
    async send(work) {
      if (busy) return;
      setBusy(true);
      setFailure(undefined);
      try {
        await work();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        setFailure(error);
      } finally {
        setBusy(false);
      }
    },
  };
}

export function Form({ send, failure, fields, children }: { send: () => void; failure?: Failure; fields?: string[]; children: ComponentChildren }) {
  // What a field shows is not said twice.
  const isShown = failure && (fields ?? []).some((field) => failure.of(field));
  return (
    <form noValidate onSubmit={(event) => { event.preventDefault(); send(); }}>
      {failure && !isShown && <FailureBox failure={failure} />}
      {children}
    </form>
  );
}
