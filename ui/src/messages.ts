// What the page says, in the language of whoever reads it. English is built in; another language is a file, loaded when it is chosen.
import type { ComponentChildren } from 'preact';
import { en } from './en';
import { hear } from './said';
import { kept, store } from './store';

export type Message = keyof typeof en;
export type Messages = Record<Message, string>;
type Values = Record<string, string | number>;

/** A language: what the page says, and what the server does. */
const others: Record<string, () => Promise<{ messages: Messages; sentences: string; words: string }>> = {
  de: () => import('./german'),
};
export const languages: Array<[string, string]> = [['en', 'English'], ['de', 'Deutsch']];

const guessed = navigator.languages.map((one) => one.slice(0, 2)).find((one) => one === 'en' || one in others) ?? 'en';
export const language = kept('language', guessed);
let messages: Messages = en;
/** Counts the changes of language: whoever shows text looks at it. */
export const spoken = store(0);

export async function speak(name: string): Promise<void> {
  const other = await others[name]?.().catch(() => undefined);
  messages = other?.messages ?? en;
  hear(other);
  document.documentElement.lang = messages === en ? 'en' : name;
  spoken.set(spoken.get() + 1);
}

/** `{n}` is a value; `{n|one|many}` is one word or the other, by the number n. */
const PLACE = /\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g;

export function t(message: Message, values: Values = {}): string {
  return messages[message].replace(PLACE, (_, name: string, one?: string, many?: string) => {
    const value = values[name] ?? '';
    if (one !== undefined) return Number(value) === 1 ? one : many!;
    return typeof value === 'number' ? number(value) : value;
  });
}

/** The same with elements in the places. */
export function parts(message: Message, values: Record<string, ComponentChildren>): ComponentChildren {
  const all: ComponentChildren[] = [];
  const text = messages[message];
  let end = 0;
  for (const found of text.matchAll(PLACE)) {
    all.push(text.slice(end, found.index));
    const value = values[found[1]!];
    if (found[2] !== undefined) all.push(Number(value) === 1 ? found[2] : found[3]);
    else all.push(typeof value === 'number' ? number(value) : value);
    end = found.index + found[0].length;
  }
  all.push(text.slice(end));
  return all;
}

export function locale(): string {
  return document.documentElement.lang || 'en';
}

export function number(value: number): string {
  return value.toLocaleString(locale());
}
