import { useEffect, useState } from 'react';

/** Whole seconds until a moment by the wall clock, counting down; undefined without a moment. */
export function useSecondsUntil(atMs: number | undefined): number | undefined {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    if (atMs === undefined) return;
    const tick = () => {
      setNowMs(Date.now());
    };
    const timer = setInterval(tick, 1_000);
    return () => {
      clearInterval(timer);
    };
  }, [atMs]);
  return atMs === undefined ? undefined : Math.max(0, Math.ceil((atMs - nowMs) / 1_000));
}
