// What does not fit the bar at the bottom of a phone.
import { Icon, type IconName } from '../icons';
import { logout } from '../main';
import { t, type Message } from '../messages';
import { link } from '../router';

interface Place { path: string; title: Message; icon: IconName; first?: boolean }

export function More({ places }: { places: Place[] }) {
  return (
    <>
      <h1 tabIndex={-1}>{t('nav.more')}</h1>
      <ul class="menu">
        {places.filter((place) => !place.first).map((place) => (
          <li key={place.path}><a href={link([place.path])}><Icon name={place.icon} />{t(place.title)}<Icon name="right" /></a></li>
        ))}
      </ul>
      <button type="button" onClick={logout}><Icon name="out" />{t('nav.logout')}</button>
    </>
  );
}
