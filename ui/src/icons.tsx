// Line icons, in one sprite. They are drawn beside words and say nothing by themselves.
import sprite from './icons.svg';

export type IconName = 'overview' | 'bans' | 'jails' | 'history' | 'more' | 'search' | 'filter' | 'shield' | 'list' | 'log' | 'activity'
  | 'settings' | 'close' | 'ok' | 'warn' | 'bad' | 'up' | 'down' | 'left' | 'right' | 'undo' | 'plus' | 'download' | 'out' | 'copy' | 'bell' | 'key';

export function Icon({ name }: { name: IconName }) {
  return <svg class="icon" aria-hidden="true"><use href={`${sprite}#${name}`} /></svg>;
}
