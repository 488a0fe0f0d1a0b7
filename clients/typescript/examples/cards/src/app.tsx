import type { Syncline } from '@syncline/client';
import { SynclineProvider } from '@syncline/react';
import type { ReactElement } from 'react';
import { Person } from './person.js';
import { SCHEMES, THEMES, usePreferences } from './preferences.js';
import type { Schema } from './schema.js';

export interface AppProps {
  readonly people: readonly { readonly name: string; readonly client: Syncline<Schema> }[];
  readonly workspace: string;
}

const LOOKS = { modern: 'Modern', nextstep: 'NeXTSTEP', system: 'Auto', light: 'Light', dark: 'Dark' };

/** The page: who sits in front of it, and how it looks. */
export function App({ people, workspace }: AppProps): ReactElement {
  const [look, setLook] = usePreferences();
  const both = people.length > 1;
  return (
    <div className="syncline-root page" data-syncline-theme={look.theme} data-syncline-scheme={look.scheme}>
      <header className="page-header">
        <h1>
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d="M7 11c5 0 5 5 9 5s4-5 9-5M7 21c5 0 5-5 9-5" />
            <circle cx="25" cy="21" r="2.2" />
          </svg>
          Cards
        </h1>
        <p>
          {both
            ? 'Two people, one board. Take one offline, edit on both sides, and bring them together again.'
            : 'Everybody on this board sees your edits at once. Go offline, go on editing, come back.'}
        </p>
        <a className="syncline-button" href={both ? '?people=1' : '?people=2'}>
          {both ? 'One person' : 'Two people'}
        </a>
        <Choice
          label="Theme"
          options={THEMES}
          value={look.theme}
          choose={(theme) => {
            setLook({ ...look, theme });
          }}
        />
        <Choice
          label="Light or dark"
          options={SCHEMES}
          value={look.scheme}
          choose={(scheme) => {
            setLook({ ...look, scheme });
          }}
        />
      </header>
      <main className="page-people" data-people={people.length}>
        {people.map(({ name, client }) => (
          <SynclineProvider key={name} client={client} theme={look.theme} scheme={look.scheme}>
            <Person name={name} workspace={workspace} />
          </SynclineProvider>
        ))}
      </main>
    </div>
  );
}

function Choice<T extends keyof typeof LOOKS>(props: {
  readonly label: string;
  readonly options: readonly T[];
  readonly value: T;
  readonly choose: (value: T) => void;
}): ReactElement {
  return (
    <div className="choice" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === props.value}
          onClick={() => {
            props.choose(option);
          }}
        >
          {LOOKS[option]}
        </button>
      ))}
    </div>
  );
}
