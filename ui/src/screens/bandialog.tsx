// Bans addresses by hand. What the guard says is said before anything is sent.
import { useEffect, useState } from 'preact/hooks';
import type { BanCheckResponse } from '../api';
import { Dialog } from '../dialog';
import { parseDuration } from '../format';
import { Area, Check, Choice, Form, Span, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t, type Message } from '../messages';
import { call, Failure, useGet } from '../request';
import { say } from '../status';
import { releaseMany } from '../bans';

/** Addresses as people paste them: by lines, commas or spaces, with what follows a `#` left out. */
export function addressesOf(text: string): string[] {
  const plain = text.split('\n').map((line) => line.replace(/[#;].*/, '')).join(' ');
  return [...new Set(plain.split(/[\s,]+/).filter(Boolean))];
}

const GUARD: Partial<Record<string, Message>> = {
  yourself: 'guard.yourself', contains_you: 'guard.contains', gateway: 'guard.gateway', proxy: 'guard.proxy', this_machine: 'guard.machine',
  ignored: 'guard.ignored', never_ban: 'guard.ignored', too_wide: 'guard.wide', multicast: 'guard.multicast',
};

export function BanDialog({ close, done, ip = '' }: { close: () => void; done: () => Promise<void>; ip?: string }) {
  const jails = useGet('GET /jails', {});
  const [text, setText] = useState(ip);
  const [chosen, setChosen] = useState<string[]>([]);
  const [length, setLength] = useState('');
  const [custom, setCustom] = useState('');
  const [note, setNote] = useState('');
  const [warned, setWarned] = useState<BanCheckResponse>();
  const [skipped, setSkipped] = useState<{ left: Array<[string, string]>; banned: Array<{ ip: string; jail: string }> }>();
  const { busy, failure, send } = useSend();
  const running = jails.data?.items.filter((jail) => jail.running).map((jail) => jail.name) ?? [];
  useEffect(() => { if (running.length > 0 && chosen.length === 0) setChosen([running[0]!]); }, [running.length]);
  const all = addressesOf(text);
  const seconds = length === 'other' ? parseDuration(custom) : length === '' ? undefined : Number(length);

  const end = async (banned: Array<{ ip: string; jail: string }>, count: number) => {
    await done();
    say(t('ban.done', { n: count }), banned.length > 0 ? async () => { await releaseMany(banned); await done(); } : undefined);
    close();
  };
  const banOne = async (force: boolean) => {
    const { results } = await call('POST /bans', { body: { ip: all[0]!, jails: chosen, force, duration: seconds, note: note || undefined } });
    await end(results.filter((one) => one.banned).map(({ jail }) => ({ ip: all[0]!, jail })), 1);
  };
  /** Each address has a result of its own; what the guard keeps from being banned is told behind it. */
  const banMany = async () => {
    const banned: Array<{ ip: string; jail: string }> = [];
    const left = new Map<string, string>();
    for (const jail of chosen) {
      const answer = await call('POST /bans/bulk', { body: { ips: all, jail, duration: seconds, note: note || undefined } });
      for (const one of answer.results) {
        if (one.result === 'banned') banned.push({ ip: one.ip, jail });
        else if (one.result !== 'was_banned') left.set(one.ip, one.detail ?? one.reason ?? one.result);
      }
      if (answer.stopped) throw new Failure(409, answer.stopped.code, answer.stopped.detail);
    }
    if (left.size === 0) return end(banned, all.length);
    await done();
    return setSkipped({ left: [...left], banned });
  };
  const check = async () => {
    if (all.length > 1) return banMany();
    const answer = await call('POST /bans/check', { body: { ip: all[0]!, jails: chosen } });
    if (answer.allowed) return banOne(false);
    return setWarned(answer);
  };

  if (skipped) {
    return (
      <Dialog key="skipped" title={t('ban.result')} close={close}>
        <p>{t('ban.some', { n: all.length - skipped.left.length, of: all.length })}</p>
        <ul class="plainlist">{skipped.left.slice(0, 20).map(([one, why]) => <li key={one}><strong class="address">{one}</strong>: {why}</li>)}</ul>
        <div class="buttons">
          {skipped.banned.length > 0 && <button type="button" onClick={() => send(async () => { await releaseMany(skipped.banned); await done(); close(); })}>{t('action.undo')}</button>}
          <button type="button" class="primary" autoFocus onClick={close}>{t('action.close')}</button>
        </div>
      </Dialog>
    );
  }
  if (warned) {
    const { ip: one, reason, jails: of, detail } = warned;
    return (
      <Dialog key="guard" title={t('ban.guard')} close={close}>
        <p><strong class="address">{one}</strong>: {reason && GUARD[reason] ? t(GUARD[reason]!, { ip: one, entry: of.find((jail) => jail.entry)?.entry ?? '' }) : detail}</p>
        <Form failure={failure} send={() => send(() => banOne(true))}>
          <div class="buttons">
            <button type="button" autoFocus onClick={() => setWarned(undefined)}>{t('ban.not')}</button>
            <button class="danger" disabled={busy}>{t('ban.anyway')}</button>
          </div>
        </Form>
      </Dialog>
    );
  }
  const lengths: Array<[string, string]> = [
    ['', t('ban.asJail')], ['3600', t('ban.hour')], ['86400', t('ban.day')], ['259200', t('ban.days')], ['604800', t('ban.week')], ['-1', t('time.ever')], ['other', t('ban.other')],
  ];
  return (
    <Dialog title={t('ban.title')} close={close}>
      <Form failure={failure} fields={['ip', 'duration', 'note']} send={() => send(check)}>
        <Area label={t('ban.addresses')} value={text} set={setText} rows={3} error={failure?.of('ip')}
          hint={all.length > 1 ? t('ban.count', { n: all.length }) : t('ban.hint')} />
        <fieldset>
          <legend>{t('col.jail')}</legend>
          <div class="choices">
            {running.map((name) => (
              <Check key={name} label={name} on={chosen.includes(name)} set={(on) => setChosen(on ? [...chosen, name] : chosen.filter((one) => one !== name))} />
            ))}
          </div>
          {jails.data && running.length === 0 && <p class="wrong">{t('ban.noJail')}</p>}
        </fieldset>
        <Choice label={t('ban.length')} value={length} set={setLength} options={lengths} error={failure?.of('duration')} />
        {length === 'other' && <Span label={t('ban.howLong')} value={custom} set={setCustom} error={failure?.of('duration')} />}
        <Text label={t('col.note')} value={note} set={setNote} maxLength={200} error={failure?.of('note')} hint={t('ban.noteHint')} />
        {busy && all.length > 1 && <progress aria-label={t('ban.progress', { n: all.length })} />}
        <div class="buttons">
          <button type="button" onClick={close}>{t('action.cancel')}</button>
          <button class="danger" disabled={busy || all.length === 0 || chosen.length === 0 || (length === 'other' && !seconds)}>
            <Icon name="bans" />{all.length > 1 ? t('ban.goMany', { n: all.length }) : t('ban.go')}
          </button>
        </div>
      </Form>
    </Dialog>
  );
}
