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

interface Warned { ip: string; check: BanCheckResponse }

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
  const [warned, setWarned] = useState<Warned[]>([]);
  const [progress, setProgress] = useState(0);
  const { busy, failure, send } = useSend();
  const running = jails.data?.items.filter((jail) => jail.running).map((jail) => jail.name) ?? [];
  useEffect(() => { if (running.length > 0 && chosen.length === 0) setChosen([running[0]!]); }, [running.length]);
  const all = addressesOf(text);
  const seconds = length === 'other' ? parseDuration(custom) : length === '' ? undefined : Number(length);

  const ban = async (list: string[], force: boolean) => {
    const failed: string[] = [];
    const banned: Array<{ ip: string; jail: string }> = [];
    for (const [index, one] of list.entries()) {
      setProgress(index + 1);
      try {
        const answer = await call('POST /bans', { body: { ip: one, jails: chosen, force, duration: seconds, note: note || undefined } });
        for (const result of answer.results) if (result.banned) banned.push({ ip: one, jail: result.jail });
      } catch (error) {
        if (!(error instanceof Failure) || list.length === 1) throw error;
        failed.push(`${one}: ${error.detail}`);
      }
    }
    setProgress(0);
    await done();
    if (failed.length > 0) throw new Failure(409, 'some', t('ban.some', { n: failed.length, of: list.length, list: failed.slice(0, 5).join(' ') }));
    say(t('ban.done', { n: list.length }), banned.length > 0 ? async () => { await releaseMany(banned); await done(); } : undefined);
    close();
  };
  const check = async () => {
    const found: Warned[] = [];
    for (const one of all.slice(0, 50)) {
      const answer = await call('POST /bans/check', { body: { ip: one, jails: chosen } });
      if (!answer.allowed) found.push({ ip: one, check: answer });
    }
    if (found.length > 0) setWarned(found);
    else await ban(all, false);
  };

  if (warned.length > 0) {
    const others = all.filter((one) => !warned.some((w) => w.ip === one));
    return (
      <Dialog key="guard" title={t('ban.guard')} close={close}>
        <ul class="plainlist">
          {warned.map(({ ip: one, check: said }) => (
            <li key={one}><strong class="address">{one}</strong>: {said.reason && GUARD[said.reason] ? t(GUARD[said.reason]!, { ip: one, entry: said.jails.find((j) => j.entry)?.entry ?? '' }) : said.detail}</li>
          ))}
        </ul>
        <Form failure={failure} send={() => send(() => ban(all, true))}>
          <div class="buttons">
            <button type="button" autoFocus onClick={() => setWarned([])}>{t('ban.not')}</button>
            {others.length > 0 && <button type="button" disabled={busy} onClick={() => send(() => ban(others, false))}>{t('ban.others', { n: others.length })}</button>}
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
        {busy && all.length > 1 && progress > 0 && <progress max={all.length} value={progress} aria-label={t('ban.progress', { n: progress, of: all.length })} />}
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
