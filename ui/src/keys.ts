// Keys of one letter. They act where nobody types, and can be switched off.
import { kept } from './store';

export const keysOn = kept('keys', 'on');
type Actions = Record<string, () => void>;
const listening: Actions[] = [];
let leader = 0;

/** Lets keys act; the result takes that back. `g b` is a `g` and then a `b`. */
export function onKey(actions: Actions): () => void {
  listening.push(actions);
  return () => { listening.splice(listening.indexOf(actions), 1); };
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
    && !(target instanceof HTMLInputElement && target.type === 'checkbox');
}

addEventListener('keydown', (event) => {
  if (keysOn.get() !== 'on' || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  // What lies over the page has the keys.
  if (document.querySelector('dialog[open]')) return;
  const key = Date.now() - leader < 1500 ? `g ${event.key}` : event.key;
  leader = 0;
  if (key === 'g') {
    leader = Date.now();
    return;
  }
  const action = [...listening].reverse().find((actions) => key in actions)?.[key];
  if (action) {
    event.preventDefault();
    action();
  }
});
