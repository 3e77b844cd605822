// Lists: a table on a wide screen, rows of two lines on a narrow one. Sorting and paging are the server's; nothing is ever shown whole.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Pagination } from './api';
import { Icon } from './icons';
import { onKey } from './keys';
import { t } from './messages';
import { filter, route } from './router';

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** The server's name for sorting by it. */
  sort?: string;
  /** Where it stands in the row of a phone: first line, its end, second line, its end, a line of its own below, or nowhere. */
  phone?: 'main' | 'side' | 'sub' | 'subside' | 'below' | 'none';
  right?: boolean;
}

interface Props<Row> {
  /** What the list is, for those who do not see it. */
  label: string;
  columns: Array<Column<Row>>;
  rows: Row[];
  id: (row: Row) => string;
  /** Opens a row, by Enter where it has the focus. */
  open?: (row: Row) => void;
  chosen?: { all: Set<string>; set: (all: Set<string>) => void };
  /** Said in the place of rows where there are none. */
  empty: ComponentChildren;
  pagination?: Pagination;
  dim?: boolean;
}

const PHONE = { main: 'at-main', side: 'at-side', sub: 'at-sub', subside: 'at-subside', below: 'at-below', none: 'at-none' };

export function Table<Row>({ label, columns, rows, id, open, chosen, empty, pagination, dim }: Props<Row>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = route.use().query.sort ?? '';

  const move = (step: number) => {
    const all = [...(body.current?.querySelectorAll<HTMLElement>('tr') ?? [])];
    const now = all.findIndex((row) => row.contains(document.activeElement));
    all[Math.min(Math.max(now + step, 0), all.length - 1)]?.focus();
  };
  useEffect(() => onKey({
    j: () => move(1),
    k: () => move(-1),
    ...(pagination?.has_next_page ? { n: () => filter({ page: pagination.page + 1 }) } : {}),
    ...(pagination?.has_prev_page ? { p: () => filter({ page: pagination.page - 1 }) } : {}),
  }), [pagination?.page, pagination?.has_next_page]);

  const choose = (key: string, on: boolean) => {
    const next = new Set(chosen!.all);
    if (on) next.add(key); else next.delete(key);
    chosen!.set(next);
  };
  const isAll = rows.length > 0 && rows.every((row) => chosen?.all.has(id(row)));

  if (rows.length === 0 && pagination && pagination.page > 1) {
    return <div class="empty"><p>{t('table.beyond')} <button type="button" onClick={() => filter({ page: undefined })}>{t('table.first')}</button></p></div>;
  }
  if (rows.length === 0) return <div class="empty">{empty}</div>;
  return (
    <div class={dim ? 'dim' : undefined}>
      <table role="table" aria-label={label} class={chosen ? 'choose' : undefined}>
        <thead role="rowgroup">
          <tr role="row">
            {chosen && (
              <th role="columnheader" class="tick">
                <input type="checkbox" aria-label={t('table.all')} checked={isAll}
                  onChange={(event) => chosen.set(new Set(event.currentTarget.checked ? rows.map(id) : []))} />
              </th>
            )}
            {columns.map((column) => <Head key={column.title} column={column} sorted={sorted} />)}
          </tr>
        </thead>
        <tbody role="rowgroup" ref={body}>
          {rows.map((row) => (
            <tr role="row" key={id(row)} tabIndex={-1} class={chosen?.all.has(id(row)) ? 'chosen' : undefined}
              onKeyDown={(event) => {
                if (event.target !== event.currentTarget) return;
                if (event.key === 'Enter' && open) open(row);
                if (event.key === 'x' && chosen) choose(id(row), !chosen.all.has(id(row)));
              }}>
              {chosen && (
                <td role="cell" class="tick">
                  <input type="checkbox" aria-label={t('table.one', { name: id(row) })} checked={chosen.all.has(id(row))}
                    onChange={(event) => choose(id(row), event.currentTarget.checked)} />
                </td>
              )}
              {columns.map((column) => (
                <td role="cell" key={column.title} class={`${PHONE[column.phone ?? 'none']}${column.right ? ' right' : ''}`}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {pagination && <Pages pagination={pagination} />}
    </div>
  );
}

function Head<Row>({ column, sorted }: { column: Column<Row>; sorted: string }) {
  const { title, sort, right } = column;
  const way = sort && sorted === sort ? 'ascending' : sort && sorted === `-${sort}` ? 'descending' : undefined;
  return (
    <th role="columnheader" class={right ? 'right' : undefined} aria-sort={way ?? (sort ? 'none' : undefined)} scope="col">
      {sort
        ? <button type="button" class="sort" onClick={() => filter({ sort: way === 'descending' ? sort : `-${sort}` })}>
          {title}{way && <Icon name={way === 'ascending' ? 'up' : 'down'} />}
        </button>
        : title}
    </th>
  );
}

/** Searches a list; the word is in the address. */
export function Search({ label, children }: { label: string; children?: ComponentChildren }) {
  const { query } = route.use();
  const [text, setText] = useState(query.q ?? '');
  useEffect(() => setText(query.q ?? ''), [query.q]);
  return (
    <form class="filters" role="search" aria-label={label} onSubmit={(event) => { event.preventDefault(); filter({ q: text.trim() }); }}>
      <input type="search" value={text} aria-label={label} placeholder={label} onInput={(event) => {
        setText(event.currentTarget.value);
        if (event.currentTarget.value === '') filter({ q: undefined }, true);
      }} />
      {children}
    </form>
  );
}

export function Pages({ pagination }: { pagination: Pagination }) {
  const { page, total_pages: pages, total, page_size: size } = pagination;
  if (total === 0) return null;
  const first = (page - 1) * size + 1;
  return (
    <nav class="pages" aria-label={t('table.pages')}>
      <span class="muted">{t('table.range', { from: first, to: Math.min(page * size, total), total })}</span>
      {pages > 1 && (
        <span class="pair">
          <button type="button" disabled={!pagination.has_prev_page} onClick={() => filter({ page: page - 1 })}>
            <Icon name="left" />{t('table.before')}
          </button>
          <button type="button" disabled={!pagination.has_next_page} onClick={() => filter({ page: page + 1 })}>
            {t('table.after')}<Icon name="right" />
          </button>
        </span>
      )}
    </nav>
  );
}

/** A list as a file for a spreadsheet. Cells that would be formulas there are kept from it. */
export function saveCsv(name: string, heads: string[], rows: Array<Array<string | number | null | undefined>>): void {
  const cell = (value: string | number | null | undefined) => {
    const text = String(value ?? '');
    return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replace(/"/g, '""')}"`;
  };
  const text = [heads, ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
  const file = URL.createObjectURL(new Blob([text, '\r\n'], { type: 'text/csv' }));
  const anchor = document.createElement('a');
  anchor.href = file;
  anchor.download = `${name}.csv`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(file), 1000);
}

