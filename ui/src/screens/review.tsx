// What a change will do, then what it did, read back from fail2ban; and the way back.
import { useEffect, useState } from 'preact/hooks';
import type { ChangePreview, ConfigChangeDetail, Effect, FileDiff } from '../api';
import { Dialog } from '../dialog';
import { duration } from '../format';
import { useSend } from '../form';
import { t, type Message } from '../messages';
import { call, Failure } from '../request';
import { said } from '../said';
import { FailureBox, Verdict, Waiting } from '../status';

const FIELDS: Record<string, Message> = {
  ban_time: 'edit.banTime', find_time: 'edit.findTime', max_retry: 'edit.maxRetry', enabled: 'edit.enabled', filter: 'col.filter', log_paths: 'edit.logs',
  ignore_ips: 'edit.ignore', fail_regex: 'edit.failregex', ignore_regex: 'edit.ignoreregex', date_pattern: 'edit.datepattern', use_dns: 'edit.dns', backend: 'jail.backend',
  actions: 'edit.actions', banaction: 'edit.banaction', port: 'edit.port', journalmatch: 'edit.journal', 'bantime_escalation.increment': 'edit.increment', 'bantime_escalation.max_time': 'edit.maxTime',
};

/** What people call a field of a jail. */
export function fieldName(field: string): string {
  return FIELDS[field] ? t(FIELDS[field]!) : field;
}

export function valueOf(field: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return t('review.nothing');
  if ((field === 'ban_time' || field === 'find_time') && typeof value === 'number') return duration(value);
  if (typeof value === 'boolean') return t(value ? 'review.yes' : 'review.no');
  if (Array.isArray(value)) return value.length === 0 ? t('review.nothing') : value.map((one) => valueOf(field, one)).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export function Effects({ effect }: { effect: Effect[] }) {
  return (
    <ul class="effects">
      {effect.filter((one) => !/^actions\./.test(one.field) || one.before !== null).map((one) => (
        <li key={`${one.jail} ${one.field}`}>
          {one.jail && <strong>{one.jail}: </strong>}{fieldName(one.field)}: {one.before !== null && <><del>{valueOf(one.field, one.before)}</del> → </>}<ins>{valueOf(one.field, one.after)}</ins>
        </li>
      ))}
    </ul>
  );
}

export function Diffs({ files }: { files: FileDiff[] }) {
  return <>{files.map((file) => <Diff key={file.path} file={file} />)}</>;
}

function Diff({ file }: { file: FileDiff }) {
  const lines = file.diff.split('\n').filter((line, index, all) => !/^(---|\+\+\+) /.test(line) && !(line === '' && index === all.length - 1));
  const kind = (line: string) => (line.startsWith('+') ? 'plus' : line.startsWith('-') ? 'minus' : line.startsWith('@@') ? 'at' : undefined);
  return (
    <figure class="diff">
      <figcaption class="mono">{file.path}</figcaption>
      <pre tabIndex={0} aria-label={file.path}>{lines.map((line, index) => <span key={index} class={kind(line)}>{line}{'\n'}</span>)}</pre>
    </figure>
  );
}

/** A dry run's answer: what would be written and what it means. */
export async function dryRun(asked: Promise<unknown>): Promise<ChangePreview> {
  const answer = await asked as ChangePreview | undefined;
  if (!answer || !('effect' in answer)) throw new Failure(0, '', '');
  return answer;
}

interface Props {
  preview: () => Promise<ChangePreview>;
  apply: () => Promise<unknown>;
  close: () => void;
  done: () => Promise<void>;
}

export function Review({ preview, apply, close, done }: Props) {
  const [seen, setSeen] = useState<ChangePreview>();
  const [refused, setRefused] = useState<Failure>();
  const [change, setChange] = useState<ConfigChangeDetail>();
  const [undone, setUndone] = useState(false);
  const { busy, failure, send } = useSend();
  useEffect(() => {
    preview().then(setSeen, (error) => { if (error instanceof Failure) setRefused(error); else throw error; });
  }, []);
  const end = () => { close(); void done(); };
  const newest = async () => {
    const { items } = await call('GET /config/changes', { query: { page_size: 1 } });
    if (items[0]) setChange((await call('GET /config/changes/{id}', { path: { id: items[0].id } })).change);
  };
  if (undone) {
    return (
      <Dialog key="undone" title={t('review.undoneTitle')} close={end}>
        <Verdict level="ok"><p>{t('review.undone')}</p></Verdict>
        <div class="buttons"><button type="button" class="primary" autoFocus onClick={end}>{t('action.close')}</button></div>
      </Dialog>
    );
  }
  if (change) {
    return (
      <Dialog key="done" title={t('review.doneTitle')} close={end} wide>
        <Verdict level="ok"><p>{t('review.done')}</p></Verdict>
        <Effects effect={change.effect} />
        <Diffs files={change.files} />
        {change.report.length > 0 && <details><summary>{t('review.report')}</summary><ol>{change.report.map((step, index) => <li key={index}>{said(step.sentence)}</li>)}</ol></details>}
        {failure && <FailureBox failure={failure} />}
        <div class="buttons">
          <button type="button" disabled={busy} onClick={() => send(async () => {
            await call('POST /config/changes/{id}/undo', { path: { id: change.id } });
            setUndone(true);
          })}>{t('action.undo')}</button>
          <button type="button" class="primary" autoFocus onClick={end}>{t('action.close')}</button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t('edit.review')} close={busy ? undefined : close} wide>
      {refused && <><p><strong>{t('review.refused')}</strong></p><FailureBox failure={refused} /></>}
      {failure && <><p><strong>{t('review.refused')}</strong></p><FailureBox failure={failure} /></>}
      {!seen && !refused && <Waiting />}
      {seen && (
        <>
          <p>{seen.at_commit?.[0] ? t('review.written', { file: seen.at_commit[0].path }) : t('review.files', { n: seen.files.length })} {seen.commands.restarted.length > 0
            ? t('review.restarts', { list: seen.commands.restarted.join(', ') }) : t('review.noRestart')}</p>
          <Effects effect={seen.effect} />
          {seen.checks.filter((check) => check.level !== 'ok').map((check) => <Verdict key={check.sentence} level={check.level}><p>{said(check.sentence)}</p></Verdict>)}
          <Diffs files={[...seen.files, ...(seen.at_commit ?? [])]} />
        </>
      )}
      <div class="buttons">
        <button type="button" disabled={busy} onClick={close}>{t('review.back')}</button>
        <button type="button" class="primary" disabled={busy || !seen} onClick={() => send(async () => { await apply(); await newest(); })}>
          {t(busy ? 'review.applying' : 'review.apply')}
        </button>
      </div>
    </Dialog>
  );
}
