// What filters and actions share: they are two halves of one thing, each a list and a screen for one of them.
import type { ComponentChildren } from 'preact';
import type { ActionConfig, ActionListResponse, FilterConfig, FilterListResponse } from '../api';
import { JailNames } from '../format';
import { t, type Message } from '../messages';
import { useGet, type Loaded } from '../request';
import { link, route } from '../router';
import { isAdmin } from '../session';
import { Show, Verdict } from '../status';
import { Search, Table, type Column } from '../table';

type Kind = 'filters' | 'actions';
type Definition = FilterConfig | ActionConfig;

const SAID: Record<Kind, Record<'title' | 'sentence' | 'search' | 'none' | 'one' | 'unused', Message>> = {
  filters: { title: 'filters.title', sentence: 'filters.sentence', search: 'filters.search', none: 'filters.none', one: 'col.filter', unused: 'filters.unusedText' },
  actions: { title: 'actions.title', sentence: 'actions.sentence', search: 'actions.search', none: 'actions.none', one: 'col.do', unused: 'actions.unused' },
};

export function Definitions({ kind, more = [] }: { kind: Kind; more?: Array<Column<Definition>> }) {
  const { q, page } = route.use().query;
  const list = useGet(kind === 'filters' ? 'GET /config/filters' : 'GET /config/actions', { query: { q: q ?? '', page: page ?? 1, page_size: 25, sort: '-active' } }) as Loaded<FilterListResponse | ActionListResponse>;
  const said = SAID[kind];
  return (
    <>
      <h1 tabIndex={-1}>{t(said.title)}</h1>
      {isAdmin() && <nav class="tabs" aria-label={t('filters.tabs')}>
        {(['filters', 'actions'] as const).map((name) => <a key={name} href={link([name])} aria-current={name === kind ? 'page' : undefined}>{t(SAID[name].title)}</a>)}
      </nav>}
      <p class="sentence">{list.data ? t(said.sentence, { n: list.data.pagination.total }) : ' '}</p>
      <Search label={t(said.search)} />
      <Show of={list}>
        {(data) => (
          <Table<Definition> label={t(said.title)} rows={data.items} id={(one) => one.name} open={(one) => { location.hash = link([kind, one.name]); }} empty={<p>{t(said.none)}</p>}
            pagination={data.pagination} dim={list.loading}
            columns={[
              { title: t(said.one), cell: (one) => <a href={link([kind, one.name])}>{one.name}</a>, phone: 'main' },
              { title: t('filters.used'), phone: 'sub', cell: (one) => <UsedBy jails={one.used_by_jails} /> },
              { title: t('filters.origin'), phone: 'side', cell: (one) => (one.has_local_override ? <span class="tag">{t('jail.local')}</span> : <span class="muted">{t('filters.shipped')}</span>) },
              ...more,
            ]} />
        )}
      </Show>
    </>
  );
}

function UsedBy({ jails }: { jails: string[] }) {
  if (jails.length === 0) return <span class="muted">{t('filters.unused')}</span>;
  return <JailNames of={jails} />;
}

interface OneProps<One> {
  kind: Kind;
  name: string;
  of: Loaded<One>;
  children: (one: One) => ComponentChildren;
}

/** One filter or action: who uses it, what is wrong with it, and what stands below. */
export function DefinitionScreen<One extends Definition>({ kind, name, of, children }: OneProps<One>) {
  return (
    <>
      <p class="crumb"><a href={link([kind])}>{t(SAID[kind].title)}</a></p>
      <h1 tabIndex={-1}>{name}</h1>
      <Show of={of}>
        {(data) => (
          <>
            <p class="sentence">{data.used_by_jails.length > 0 ? t('filters.usedBy', { list: data.used_by_jails.join(', ') }) : t(SAID[kind].unused)}</p>
            {data.problem && <Verdict level="bad"><p>{data.problem}</p></Verdict>}
            {data.warnings.map((text) => <Verdict key={text} level="warn"><p>{text}</p></Verdict>)}
            {children(data)}
          </>
        )}
      </Show>
    </>
  );
}
