// Bars over time and bars of shares, as SVG and CSS of our own. Each number is there as text, too.
import { clock } from './format';
import { number, t } from './messages';

export interface Bucket { timestamp: string; count: number }

/** Bars over time. */
export function Trend({ buckets, label }: { buckets: Bucket[]; label: string }) {
  const most = Math.max(1, ...buckets.map((one) => one.count));
  const sum = buckets.reduce((all, one) => all + one.count, 0);
  const peak = buckets.reduce((best, one) => (one.count > best.count ? one : best), buckets[0] ?? { timestamp: '', count: 0 });
  if (buckets.length === 0) return null;
  const width = 600 / buckets.length;
  const said = sum === 0 ? t('chart.none', { label }) : t('chart.said', { label, sum, peak: peak.count, time: clock(Date.parse(peak.timestamp)) });
  return (
    <figure class="trend">
      <svg viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label={said}>
        {buckets.map((one, index) => (
          <rect key={one.timestamp} x={index * width + width * 0.1} width={width * 0.8} y={120 - (one.count / most) * 116 - (one.count ? 3 : 1)}
            height={(one.count / most) * 116 + (one.count ? 3 : 1)} class={one.count ? undefined : 'none'}>
            <title>{`${clock(Date.parse(one.timestamp))}: ${number(one.count)}`}</title>
          </rect>
        ))}
      </svg>
      <figcaption><span>{clock(Date.parse(buckets[0]!.timestamp))}</span><span>{t('chart.most', { n: most })}</span><span>{t('time.now')}</span></figcaption>
    </figure>
  );
}

/** The largest few of something, each a link to exactly what it counts. */
export function Shares({ items, label, empty }: { items: Array<{ name: string; count: number; href: string }>; label: string; empty: string }) {
  if (items.length === 0) return <p class="muted">{empty}</p>;
  const most = Math.max(1, ...items.map((one) => one.count));
  return (
    <ul class="shares" aria-label={label}>
      {items.map((one) => (
        <li key={one.name}>
          <a href={one.href}><span>{one.name}</span><span class="count">{number(one.count)}</span></a>
          <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width={(one.count / most) * 100} height="1" /></svg>
        </li>
      ))}
    </ul>
  );
}
