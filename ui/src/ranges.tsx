// The presets of time that lists and charts of the past have.
import type { Range } from './api';
import { t, type Message } from './messages';

const ALL: Array<[Range, Message]> = [['24h', 'range.day'], ['7d', 'range.week'], ['30d', 'range.month'], ['365d', 'range.year']];

export function Ranges({ value, set }: { value: Range; set: (range: Range) => void }) {
  return (
    <div class="segments" role="group" aria-label={t('range.label')}>
      {ALL.map(([name, title]) => <button type="button" key={name} aria-pressed={name === value} onClick={() => set(name)}>{t(title)}</button>)}
    </div>
  );
}
