// Why fail2ban does not run, and how it is started from here.
import { useState } from 'preact/hooks';
import type { ServiceStatusResponse } from './api';
import { Icon } from './icons';
import { t } from './messages';
import { call } from './request';
import { may } from './session';
import { attempt, say } from './status';

export function DaemonProblem({ service, reload }: { service: ServiceStatusResponse; reload: () => Promise<void> }) {
  const [busy, setBusy] = useState(false);
  const start = () => {
    setBusy(true);
    void attempt(async () => {
      await call('POST /config/restart');
      say(t('daemon.started'));
    }).then(reload).then(() => setBusy(false));
  };
  return (
    <div class="verdict bad">
      <Icon name="bad" />
      <div>
        <p><strong>{t('daemon.down')}</strong></p>
        {service.problem && <p>{service.problem}</p>}
        {service.config_problems.length > 0 && (
          <ul>{service.config_problems.map((one) => (
            <li key={one.detail}>{one.detail}{one.file && <span class="mono small"> {one.file}{one.line ? `:${one.line}` : ''}</span>}</li>
          ))}</ul>
        )}
        {service.log_errors.length > 0 && (
          <details><summary>{t('daemon.log')}</summary><pre class="log">{service.log_errors.join('\n')}</pre></details>
        )}
        {may('config') && <div class="buttons"><button type="button" disabled={busy} onClick={start}>{t(busy ? 'daemon.starting' : 'daemon.start')}</button></div>}
      </div>
    </div>
  );
}
