// A value that components can look at: whoever uses it is drawn again when it changes. It is all the state that outlives a screen.
import { useEffect, useState } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(value: T): void;
  use(): T;
}

export function store<T>(value: T): Store<T> {
  const watchers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const watch of [...watchers]) watch();
    },
    use() {
      const [, redraw] = useState(0);
      useEffect(() => {
        const watch = () => redraw((count) => count + 1);
        watchers.add(watch);
        return () => { watchers.delete(watch); };
      }, []);
      return value;
    },
  };
}

/** What a person chose on this device. It is kept by the browser where that lets us. */
export function kept(name: string, otherwise: string): Store<string> {
  const key = `bangui.${name}`;
  let first = otherwise;
  try { first = localStorage.getItem(key) ?? otherwise; } catch { /* Storage is switched off: the choice lasts as long as the page. */ }
  const inner = store(first);
  return {
    ...inner,
    set(value) {
      try { localStorage.setItem(key, value); } catch { /* As above. */ }
      inner.set(value);
    },
  };
}
