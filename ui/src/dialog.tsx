// What lies over the page: the browser's own dialog, so that focus stays inside, Esc closes it, and the focus goes back.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useId } from 'preact/hooks';
import { Icon } from './icons';
import { t } from './messages';
import { store } from './store';

export function Dialog({ title, close, wide, children }: { title: string; close?: () => void; wide?: boolean; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current!;
    shown.showModal();
    return () => {
      shown.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class={wide ? 'wide' : undefined} aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); close?.(); }}>
      <header>
        <h2 id={id} tabIndex={-1}>{title}</h2>
        {close && <button type="button" class="plain" aria-label={t('action.close')} onClick={close}><Icon name="close" /></button>}
      </header>
      {children}
    </dialog>
  );
}

/** The end of a form in a dialog: not to do it, and to do it. What is dangerous does not have the focus. */
export function Answers({ close, yes, off, danger, children }: { close: () => void; yes: string; off?: boolean; danger?: boolean; children?: ComponentChildren }) {
  return (
    <div class="buttons">
      {children}
      <button type="button" autoFocus={danger} onClick={close}>{t('action.cancel')}</button>
      <button class={danger ? 'danger' : 'primary'} disabled={off}>{yes}</button>
    </div>
  );
}

interface Question {
  title: string;
  text: ComponentChildren;
  yes: string;
  answer: (yes: boolean) => void;
}

const question = store<Question | null>(null);

/** Asks before what cannot be undone. The consequence stands in `text`; not to do it has the focus. */
export function ask(title: string, text: ComponentChildren, yes: string): Promise<boolean> {
  return new Promise((answer) => question.set({ title, text, yes, answer }));
}

export function Asking() {
  const now = question.use();
  if (!now) return null;
  const end = (yes: boolean) => { question.set(null); now.answer(yes); };
  return (
    <Dialog title={now.title} close={() => end(false)}>
      <p>{now.text}</p>
      <div class="buttons">
        <button type="button" autoFocus onClick={() => end(false)}>{t('action.cancel')}</button>
        <button type="button" class="danger" onClick={() => end(true)}>{now.yes}</button>
      </div>
    </Dialog>
  );
}
