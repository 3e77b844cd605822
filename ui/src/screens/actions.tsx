// What is done with who is banned. What stands in an action is run by root, so changing it is a right of its own.
import { useEffect, useState } from 'preact/hooks';
import type { ActionConfig, ActionUpdate } from '../api';
import { Area, Form, Text } from '../form';
import { t, type Message } from '../messages';
import { call, useGet } from '../request';
import { route } from '../router';
import { may, meta } from '../session';
import { Verdict } from '../status';
import { Definitions, DefinitionScreen } from './definitions';
import { dryRun, Review } from './review';

const COMMANDS = ['actionstart', 'actionstop', 'actioncheck', 'actionban', 'actionunban', 'actionflush'] as const;
const WHEN: Record<(typeof COMMANDS)[number], Message> = {
  actionstart: 'actions.start', actionstop: 'actions.stop', actioncheck: 'actions.check', actionban: 'actions.ban', actionunban: 'actions.unban', actionflush: 'actions.flush',
};

export function Actions() {
  const name = route.use().path[1];
  return name ? <Action name={name} /> : <Definitions kind="actions" />;
}

function Action({ name }: { name: string }) {
  const one = useGet('GET /config/actions/{name}', { path: { name } });
  return (
    <DefinitionScreen kind="actions" name={name} of={one}>
      {(data) => (
        <>
          <Verdict level="warn"><p>{t('actions.root')}{!meta.get()?.action_edit_allowed && ` ${t('actions.locked')}`}</p></Verdict>
          {may('actions') ? <Editor of={data} reload={one.reload} /> : COMMANDS.filter((command) => data.effective[command]).map((command) => (
            <section key={command}><h2>{t(WHEN[command])}</h2><pre class="log" tabIndex={0} aria-label={t(WHEN[command])}>{data.effective[command]}</pre></section>
          ))}
        </>
      )}
    </DefinitionScreen>
  );
}

function Editor({ of, reload }: { of: ActionConfig; reload: () => Promise<void> }) {
  const texts = (action: ActionConfig) => ({ ...Object.fromEntries(COMMANDS.map((command) => [command, action[command] ?? ''])), ...action.init_vars } as Record<string, string>);
  const before = texts(of);
  const [now, set] = useState(before);
  const [review, setReview] = useState(false);
  useEffect(() => set(texts(of)), [of]);
  const changed = Object.keys(now).filter((key) => now[key] !== before[key]);
  const isCommand = (key: string) => (COMMANDS as readonly string[]).includes(key);
  const vars = changed.filter((key) => !isCommand(key));
  const body: ActionUpdate = {
    ...Object.fromEntries(changed.filter(isCommand).map((key) => [key, now[key] || null])),
    ...(vars.length > 0 ? { init_vars: Object.fromEntries(vars.map((key) => [key, now[key]!])) } : {}),
  };
  const path = { name: of.name };
  return (
    <Form send={() => setReview(true)}>
      {COMMANDS.map((command) => <Area key={command} label={t(WHEN[command])} value={now[command]!} set={(value) => set({ ...now, [command]: value })} rows={Math.min(8, Math.max(2, now[command]!.split('\n').length))} />)}
      {Object.keys(of.init_vars).length > 0 && (
        <details>
          <summary>{t('actions.parameters')}</summary>
          {Object.keys(of.init_vars).map((key) => <Text key={key} label={key} value={now[key]!} set={(value) => set({ ...now, [key]: value })} />)}
        </details>
      )}
      <p class="muted small break">{of.source_file}</p>
      <div class="buttons sticky"><button class="primary" disabled={changed.length === 0}>{t('edit.review')}</button></div>
      {review && <Review close={() => setReview(false)} done={reload}
        preview={() => dryRun(call('PUT /config/actions/{name}', { path, query: { dry_run: true }, body }))}
        apply={() => call('PUT /config/actions/{name}', { path, body })} />}
    </Form>
  );
}
