import { useState } from 'react';

export const THEMES = ['modern', 'nextstep'] as const;
export const SCHEMES = ['system', 'light', 'dark'] as const;

export interface Preferences {
  readonly theme: (typeof THEMES)[number];
  readonly scheme: (typeof SCHEMES)[number];
}

const KEY = 'syncline-cards-look';

const among = <T extends string>(all: readonly T[], value: unknown): T | undefined => all.find((one) => one === value);

function read(): Preferences {
  const asked = new URLSearchParams(location.search);
  let kept: Partial<Preferences> = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Preferences>;
  } catch {
    // Nothing kept, or nothing that can be read: the defaults.
  }
  return {
    theme: among(THEMES, asked.get('theme')) ?? among(THEMES, kept.theme) ?? 'modern',
    scheme: among(SCHEMES, asked.get('scheme')) ?? among(SCHEMES, kept.scheme) ?? 'system',
  };
}

/** How the page looks; kept for the next visit. */
export function usePreferences(): [Preferences, (next: Preferences) => void] {
  const [preferences, setPreferences] = useState(read);
  const change = (next: Preferences) => {
    setPreferences(next);
    try {
      localStorage.setItem(KEY, JSON.stringify(next));
    } catch {
      // It holds for this visit.
    }
  };
  return [preferences, change];
}
