// What was changed, by whom? Each change of the configuration, with its way back.
import { useState } from 'preact/hooks';
import type { ConfigChange } from '../api';
import { Dialog } from '../dialog';
import { Time } from '../format';
import { useSend } from '../form';
import { t } from '../messages';
import { call, useGet } from '../request';
import { said } from '../said';
import { route } from '../router';
import { may } from '../session';
import { FailureBox, say, Show } from '../status';
import { Table } from '../table';
import { Diffs, Effects } from './review';

export function Activity() {
  const { query } = route.use();
  const changes = useGet('GET /config/changes', { query: { page: query.page ?? 1, page_size: 25 } }, 30);
  const [open, setOpen] = useState<number>();
  return (
    <>
      <h1 tabIndex={-1}>{t('activity.title')}</h1>
      <p class="sentence">{changes.data?.pagination.total ? t('activity.sentence', { n: changes.data.pagination.total }) : ' '}</p>
      <Show of={changes}>
        {(data) => (
          <Table label={t('activity.title')} rows={data.items} id={(one) => String(one.id)} pagination={data.pagination} open={(one) => setOpen(one.id)} empty={<p>{t('activity.none')}</p>}
            columns={[
              { title: t('activity.what'), phone: 'main', cell: (one) => <button type="button" class="linklike" onClick={() => setOpen(one.id)}>{titleOf(one)}</button> },
              { title: t('activity.who'), phone: 'sub', cell: (one) => (one.by_hand ? t('activity.byHand') : one.actor.name) },
              { title: t('col.when'), phone: 'side', right: true, cell: (one) => <Time at={one.at} /> },
            ]} />
        )}
      </Show>
      {open !== undefined && <Change id={open} close={() => setOpen(undefined)} done={changes.reload} />}
    </>
  );
}

function titleOf(change: ConfigChange): string {
  const what = change.jails.length > 0 ? change.jails.join(', ') : change.paths.map((path) => path.split('/').pop()).join(', ');
  if (change.undoes !== null) return t('activity.undo', { n: change.undoes, what });
  return change.undone_by !== null ? t('activity.undone', { what }) : what;
}

function Change({ id, close, done }: { id: number; close: () => void; done: () => Promise<void> }) {
  const change = useGet('GET /config/changes/{id}', { path: { id } });
  const { busy, failure, send } = useSend();
  return (
    <Dialog title={t('activity.change', { n: id })} close={close} wide>
      <Show of={change}>
        {({ change: now }) => (
          <>
            <p class="muted"><Time at={now.at} />, {now.by_hand ? t('activity.byHand') : now.actor.name}</p>
            {now.effect.length > 0 && <Effects effect={now.effect} />}
            <Diffs files={now.files} />
            {now.report.length > 0 && <details><summary>{t('review.report')}</summary><ol>{now.report.map((step, index) => <li key={index}>{said(step.sentence)}</li>)}</ol></details>}
            {failure && <><FailureBox failure={failure} />{failure.metadata.files && <Diffs files={failure.metadata.files} />}</>}
            <div class="buttons">
              {may('config') && now.undone_by === null && (
                <button type="button" disabled={busy} onClick={() => send(async () => {
                  await call('POST /config/changes/{id}/undo', { path: { id } });
                  say(t('activity.didUndo'));
                  close();
                  await done();
                })}>{t('action.undo')}</button>
              )}
              <button type="button" class="primary" onClick={close}>{t('action.close')}</button>
            </div>
          </>
        )}
      </Show>
    </Dialog>
  );
}
