// The world, with the countries that bans came from. What it shows stands in the list beside it, too.
import { useEffect, useState } from 'preact/hooks';
import { country } from '../format';
import { t, number } from '../messages';
import { paths, places } from './unpack';

interface World { height: number; shapes: Array<[string, string]>; dots: Array<[string, [number, number]]> }

export function WorldMap({ counts, chosen, choose }: { counts: Record<string, number>; chosen?: string; choose: (code: string | undefined) => void }) {
  const [world, setWorld] = useState<World>();
  useEffect(() => { void import('./world')
    .then(({ height, shapes, dots }) => setWorld({ height, shapes: paths(shapes), dots: places(dots) })); }, []);
  const most = Math.max(1, ...Object.values(counts));
  // Steps by the logarithm: a few countries have most of the bans.
  const step = (code: string) => (counts[code] ? Math.min(5, 1 + Math.floor((Math.log(counts[code]!) / Math.log(most + 1)) * 5)) : 0);
  const label = (code: string) => `${country(code)}: ${number(counts[code] ?? 0)}`;
  const sum = Object.keys(counts).length;
  const props = (code: string) => ({
    class: `c${step(code)}${code === chosen ? ' chosen' : ''}`,
    ...(counts[code] ? { onClick: () => choose(code === chosen ? undefined : code) } : {}),
  });
  return (
    <svg class="world" viewBox={`0 0 1000 ${world?.height ?? 432}`} role="img" aria-label={t('map.label', { n: sum })}>
      {world && world.shapes.map(([code, path]) => <path key={code} d={path} {...props(code)}>{code.length === 2 && <title>{label(code)}</title>}</path>)}
      {world && world.dots.filter(([code]) => counts[code] || code === chosen).map(([code, [x, y]]) => <circle key={code} cx={x} cy={y} r="5" {...props(code)}><title>{label(code)}</title></circle>)}
    </svg>
  );
}
