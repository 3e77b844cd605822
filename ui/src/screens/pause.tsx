// For how long a jail rests: chosen before it does, so that nobody has to remember to let it go on.
import { useState } from 'preact/hooks';
import { Dialog } from '../dialog';
import { clock, parseDuration } from '../format';
import { Form, Span } from '../form';
import { t } from '../messages';
import { store } from '../store';

const asked = store<{ name: string; answer: (seconds: number | undefined) => void } | null>(null);

/** Seconds; -1 has no end; undefined where it is not to rest after all. */
export function pauseFor(name: string): Promise<number | undefined> {
  return new Promise((answer) => asked.set({ name, answer }));
}

/** The next time that it is this hour. */
function next(hour: number, days: number): number {
  const at = new Date();
  at.setHours(hour, 0, 0, 0);
  if (days > 0 || at.getTime() < Date.now() + 600_000) at.setDate(at.getDate() + 1);
  return at.getTime();
}

export function Pausing() {
  const now = asked.use();
  const [other, setOther] = useState('');
  if (!now) return null;
  const end = (seconds?: number) => { asked.set(null); setOther(''); now.answer(seconds); };
  const until = (at: number) => end(Math.round((at - Date.now()) / 1000));
  const hour = Date.now() + 3_600_000;
  const seconds = other ? parseDuration(other) : undefined;
  return (
    <Dialog title={t('pause.title', { name: now.name })} close={() => end()}>
      <p>{t('pause.text')}</p>
      <div class="stack">
        {[hour, next(18, 0), next(8, 1)].sort((a, b) => a - b).map((at, index) => <button type="button" key={at} autoFocus={index === 0} onClick={() => until(at)}>{t('pause.until', { time: clock(at) })}</button>)}
        <button type="button" onClick={() => end(-1)}>{t('pause.open')}</button>
      </div>
      <Form send={() => { if (seconds && seconds > 0) end(seconds); }}>
        <div class="inline">
          <Span label={t('pause.other')} value={other} set={setOther} />
          <button disabled={!seconds || seconds < 0}>{t('jail.pause')}</button>
        </div>
      </Form>
    </Dialog>
  );
}
