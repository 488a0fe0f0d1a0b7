/** What the address of the page says. */
export interface Options {
  /** Who sits in front of the page: one person, or two side by side. */
  readonly people: readonly string[];
  readonly workspace: string;
  /** The server; by default the one that served the page. */
  readonly url: string;
}

const NAMES = ['Ada', 'Grace', 'Linus', 'Margaret', 'Edsger', 'Barbara'];

/** `?people=2`, `?name=Ada`, `?workspace=demo`, `?server=http://127.0.0.1:7447`. */
export function readOptions(location: Location, storage: Storage | undefined): Options {
  const asked = new URLSearchParams(location.search);
  const names = asked.getAll('name').filter((name) => name.trim() !== '');
  const people =
    asked.get('people') === '2' ? [names[0] ?? 'Ada', names[1] ?? 'Grace'] : [names[0] ?? ownName(storage)];
  return { people, workspace: asked.get('workspace') ?? 'demo', url: asked.get('server') ?? location.origin };
}

/** A name for this browser, the same at every visit. */
function ownName(storage: Storage | undefined): string {
  const chosen = NAMES[Math.floor(Math.random() * NAMES.length)] ?? 'Ada';
  try {
    const known = storage?.getItem('syncline-cards-name');
    if (known) return known;
    storage?.setItem('syncline-cards-name', chosen);
  } catch {
    // A browser that keeps nothing gives another name next time.
  }
  return chosen;
}
