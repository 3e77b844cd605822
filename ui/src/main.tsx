// The page's frame: what lies around every screen, and which screen that is.
import { render, type ComponentType } from 'preact';
import { useEffect, useErrorBoundary, useRef, useState } from 'preact/hooks';
import { Asking } from './dialog';
import { Icon, type IconName } from './icons';
import { KeyHelp } from './keyhelp';
import { keysOn, onKey } from './keys';
import { language, speak, spoken, t, parts, type Message } from './messages';
import { addNeverBan } from './never';
import { call, Failure, locked } from './request';
import { go, link, route } from './router';
import { embedded, look, may, meta } from './session';
import { attempt, FailureBox, say, Toast, Waiting } from './status';
import { kept, store } from './store';
import { AddressScreen } from './screens/address';
import { Bans } from './screens/bans';
import { History } from './screens/history';
import { JailScreen } from './screens/jail';
import { Jails } from './screens/jails';
import { Login } from './screens/login';
import { More } from './screens/more';
import { Pausing } from './screens/pause';
import { Overview } from './screens/overview';
import { Setup } from './screens/setup';

type Rest = typeof import('./screens/rest');
const rest = store<Rest | null>(null);
let asked: Promise<void> | undefined;

/** Loads the screens that were not needed at first. */
function loadRest(): void {
  asked ??= import('./screens/rest').then((all) => rest.set(all), () => { asked = undefined; });
}

export const theme = kept('theme', 'auto');

/** A screen, or the name of one of those that are loaded later. */
type ScreenName = ComponentType | keyof Rest;

interface Place {
  path: string;
  title: Message;
  icon: IconName;
  key: string;
  screen: ScreenName;
  /** On the bar at the bottom of a phone. */
  first?: boolean;
}

const PLACES: Place[] = [
  { path: 'overview', title: 'overview.title', icon: 'overview', key: 'o', screen: Overview, first: true },
  { path: 'bans', title: 'bans.title', icon: 'bans', key: 'b', screen: Bans, first: true },
  { path: 'jails', title: 'jails.title', icon: 'jails', key: 'j', screen: Jails, first: true },
  { path: 'history', title: 'history.title', icon: 'history', key: 'h', screen: History, first: true },
  { path: 'never-ban', title: 'never.title', icon: 'shield', key: 'n', screen: 'NeverBan' },
  { path: 'blocklists', title: 'lists.title', icon: 'list', key: 'l', screen: 'Blocklists' },
  { path: 'notifications', title: 'tell.title', icon: 'bell', key: 't', screen: 'Notifications' },
  { path: 'filters', title: 'filters.title', icon: 'filter', key: 'f', screen: 'Filters' },
  { path: 'log', title: 'log.title', icon: 'log', key: 'd', screen: 'Log' },
  { path: 'activity', title: 'activity.title', icon: 'activity', key: 'a', screen: 'Activity' },
  { path: 'settings', title: 'settings.title', icon: 'settings', key: 's', screen: 'Settings' },
  { path: 'access', title: 'access.title', icon: 'key', key: 'u', screen: 'Access' },
];
export const places = PLACES;

/** One component for good: another one each time would be built anew, and lose the focus. */
function MoreScreen() {
  return <More places={PLACES} />;
}

/** Screens that stand below another one. */
const OTHERS: Record<string, { screen: ScreenName; below: string }> = {
  'new-jail': { screen: 'JailNew', below: 'jails' }, defaults: { screen: 'Defaults', below: 'jails' }, actions: { screen: 'Actions', below: 'filters' },
  more: { screen: MoreScreen, below: 'more' }, address: { screen: AddressScreen, below: 'bans' },
};

function screenOf([first, second, third]: string[]): ScreenName {
  if (first === 'address' && second) return AddressScreen;
  if (first === 'jails' && second) return third === 'edit' ? 'JailEdit' : JailScreen;
  const other = OTHERS[first ?? ''];
  if (other) return other.screen;
  return PLACES.find((place) => place.path === first)?.screen ?? Overview;
}

function App() {
  spoken.use();
  const now = meta.use();
  const isLocked = locked.use();
  const [failure, setFailure] = useState<Failure>();
  const start = async () => {
    setFailure(undefined);
    try {
      await look();
    } catch (error) {
      setFailure(error instanceof Failure ? error : new Failure(0, '', String(error)));
    }
  };
  useEffect(() => {
    void start();
    const timer = setInterval(() => { if (!document.hidden && meta.get()?.authenticated) look().catch(() => undefined); }, 30_000);
    return () => clearInterval(timer);
  }, []);
  if (failure && !now) return <main class="alone"><h1>bangui</h1><FailureBox failure={failure} retry={start} /></main>;
  if (!now) return <main class="alone"><Waiting /></main>;
  if (!now.setup_complete || (location.hash.startsWith('#/setup') && now.authenticated)) return <Setup />;
  if (!now.authenticated) return <Login />;
  return (
    <>
      <Frame />
      {isLocked && <Login over />}
    </>
  );
}

function Frame() {
  const { path } = route.use();
  const main = useRef<HTMLElement>(null);
  const [help, setHelp] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  const at = path.join('/');
  const later = rest.use();
  const wanted = screenOf(path);
  const Screen = typeof wanted !== 'string' ? wanted : later?.[wanted];
  useEffect(() => {
    if (!Screen) loadRest();
    else setTimeout(loadRest, 2000);
  }, [Screen]);
  const isFirst = useRef(true);
  useEffect(() => {
    const heading = main.current?.querySelector<HTMLElement>('h1');
    document.title = heading ? `${heading.textContent} · bangui` : 'bangui';
    if (!heading) return;
    if (isFirst.current) isFirst.current = false;
    else { heading.focus(); scrollTo(0, 0); }
  }, [at, Screen, spoken.get()]);
  useEffect(() => onKey({
    '/': () => box.current?.focus(),
    '?': () => setHelp(true),
    ...Object.fromEntries(PLACES.map((place) => [`g ${place.key}`, () => go([place.path])])),
  }), []);
  const place = OTHERS[path[0] ?? '']?.below ?? path[0] ?? 'overview';
  return (
    <div class={`frame${embedded ? ' embedded' : ''}`}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.querySelector<HTMLElement>('h1')?.focus(); }}>{t('nav.skip')}</a>
      {!embedded && <Navigation path={place} />}
      <div class="page">
        <header class="top">
          <a class="name" href={link(['overview'])}><Icon name="shield" />bangui</a>
          <AddressBox box={box} />
        </header>
        <Lines />
        <main id="main" ref={main} key={at.split('/').slice(0, 3).join('/')}>{Screen ? <Guarded screen={Screen} /> : <Waiting />}</main>
      </div>
      {!embedded && <BottomBar path={place} />}
      {help && <KeyHelp places={PLACES} close={() => setHelp(false)} />}
      <Asking />
      <Pausing />
      <Toast />
    </div>
  );
}

/** A defect of one screen leaves the others in reach. */
function Guarded({ screen: Screen }: { screen: ComponentType }) {
  const [error, reset] = useErrorBoundary();
  if (error) return <><h1 tabIndex={-1}>{t('failure.broken')}</h1><FailureBox failure={new Failure(500, '', String(error))} retry={reset} /></>;
  return <Screen />;
}

function Navigation({ path }: { path: string }) {
  return (
    <nav class="side" aria-label={t('nav.label')}>
      <a class="name" href={link(['overview'])}><Icon name="shield" />bangui</a>
      <ul>
        {PLACES.map((place) => (
          <li key={place.path}>
            <a href={link([place.path])} aria-current={place.path === path ? 'page' : undefined}><Icon name={place.icon} />{t(place.title)}</a>
          </li>
        ))}
      </ul>
      <button type="button" class="plain leave" onClick={logout}><Icon name="out" />{t('nav.logout')}</button>
    </nav>
  );
}

export function logout(): void {
  void attempt(async () => {
    await call('POST /auth/logout', { plain: true }).catch((error) => { if (!(error instanceof Failure) || error.status !== 401) throw error; });
    await look();
  });
}

function BottomBar({ path }: { path: string }) {
  const first = PLACES.filter((place) => place.first);
  const isMore = !first.some((place) => place.path === path);
  return (
    <nav class="bottom" aria-label={t('nav.label')}>
      {first.map((place) => (
        <a key={place.path} href={link([place.path])} aria-current={place.path === path ? 'page' : undefined}><Icon name={place.icon} />{t(place.title)}</a>
      ))}
      <a href={link(['more'])} aria-current={isMore ? 'page' : undefined}><Icon name="more" />{t('nav.more')}</a>
    </nav>
  );
}

function AddressBox({ box }: { box: { current: HTMLInputElement | null } }) {
  const [text, set] = useState('');
  return (
    <form role="search" class="search" onSubmit={(event) => {
      event.preventDefault();
      const wanted = text.trim();
      if (!wanted) return;
      if (/^[0-9a-f.:/]+$/i.test(wanted)) go(['address', wanted]);
      else go(['bans'], { q: wanted });
      set('');
      box.current?.blur();
    }}>
      <Icon name="search" />
      <input ref={box} value={text} aria-label={t('nav.find')} placeholder={t('nav.find')} autoCapitalize="off" spellcheck={false}
        onInput={(event) => set(event.currentTarget.value)} onKeyDown={(event) => { if (event.key === 'Escape') box.current?.blur(); }} />
      {keysOn.get() === 'on' && <kbd aria-hidden="true">/</kbd>}
    </form>
  );
}

/** What is said on every screen: that the own address is banned, that nothing can be changed. */
function Lines() {
  const now = meta.use()!;
  const { address, banned } = now.client;
  const letOut = (never: boolean) => attempt(async () => {
    if (never) await addNeverBan({ entry: address! });
    await call('DELETE /bans', { body: { ip: address! } });
    await look();
    say(t(never ? 'line.outNever' : 'line.out'));
  });
  return (
    <>
      {address && banned && banned.length > 0 && (
        <div class="line bad" role="alert">
          <span>{parts('line.banned', { ip: <strong>{address}</strong>, jails: banned.join(', ') })}</span>
          {may('bans') && <button type="button" onClick={() => letOut(false)}>{t('line.letOut')}</button>}
          {may('bans') && <button type="button" onClick={() => letOut(true)}>{t('line.never')}</button>}
        </div>
      )}
      {now.read_only && <div class="line" role="status">{t('line.readOnly')}</div>}
    </>
  );
}

const dark = matchMedia('(prefers-color-scheme: dark)');
dark.addEventListener('change', paint);
function paint(): void {
  const chosen = theme.get();
  document.documentElement.dataset.theme = chosen === 'auto' ? (dark.matches ? 'dark' : 'light') : chosen;
}
export function setTheme(name: string): void {
  theme.set(name);
  paint();
}

paint();
void speak(language.get()).then(() => render(<App />, document.getElementById('app')!));
