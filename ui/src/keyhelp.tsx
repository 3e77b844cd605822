// The list of keys, shown by `?`.
import { Dialog } from './dialog';
import { t, type Message } from './messages';

const KEYS: Array<[string, Message]> = [
  ['/', 'keys.find'], ['j k', 'keys.rows'], ['Enter', 'keys.open'], ['x', 'keys.choose'], ['n p', 'keys.pages'], ['Esc', 'action.close'], ['?', 'keys.help'],
];

export function KeyHelp({ places, close }: { places: Array<{ key: string; title: Message }>; close: () => void }) {
  return (
    <Dialog title={t('keys.title')} close={close}>
      <dl class="keys">
        {KEYS.map(([key, what]) => <div key={key}><dt>{key.split(' ').map((one) => <kbd key={one}>{one}</kbd>)}</dt><dd>{t(what)}</dd></div>)}
        {places.map((place) => <div key={place.key}><dt><kbd>g</kbd><kbd>{place.key}</kbd></dt><dd>{t(place.title)}</dd></div>)}
      </dl>
      <p class="muted small">{t('keys.off')}</p>
    </Dialog>
  );
}
