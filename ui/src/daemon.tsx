// Why fail2ban does not run, and how it is started from here.
import { useState } from 'preact/hooks';
import type { Mend, MendKind, Operations, ServiceStatusResponse } from './api';
import { Icon } from './icons';
import { t, type Message } from './messages';
import { call } from './request';
import { said } from './said';
import { may } from './session';
import { attempt, say } from './status';

const MENDS: Record<MendKind, Message> = {
  start: 'daemon.start',
  restart: 'daemon.restart',
  read_journal: 'daemon.journal',
  switch_off: 'daemon.off',
};

export function DaemonProblem({ service, reload }: { service: ServiceStatusResponse; reload: () => Promise<void> }) {
  const [busy, setBusy] = useState(false);
  const press = (mend: Mend) => {
    setBusy(true);
    void attempt(async () => {
      for (const { method, path, body } of mend.requests) await call(`${method} ${path.slice('/api/v1'.length)}` as keyof Operations, body ? { body } : {});
      say(t(mend.requests.some((one) => one.path === '/api/v1/config/restart') ? 'daemon.started' : 'daemon.mended'));
    }).then(reload).then(() => setBusy(false));
  };
  return (
    <div class="verdict bad">
      <Icon name="bad" />
      <div>
        <p><strong>{t('daemon.down')}</strong></p>
        {service.problem && <p>{said(service.problem)}</p>}
        {service.config_problems.length > 0 && (
          <ul>{service.config_problems.map((one) => (
            <li key={one.detail}>{one.detail}{one.file && <span class="mono small"> {one.file}{one.line ? `:${one.line}` : ''}</span>}</li>
          ))}</ul>
        )}
        {service.log_errors.length > 0 && (
          <details><summary>{t('daemon.log')}</summary><pre class="log">{service.log_errors.join('\n')}</pre></details>
        )}
        {may('config') && (
          <div class="buttons">
            {service.mends.map((mend) => (
              <button key={mend.id + mend.jail} type="button" disabled={busy} title={mend.sentence} onClick={() => press(mend)}>
                {busy ? t('daemon.starting') : t(MENDS[mend.id], { jail: mend.jail ?? '' })}
              </button>
            ))}
          </div>
        )}
      </div>
    </div>
  );
}
