import { act, cleanup, fireEvent, screen, waitFor, within } from '@testing-library/react';
import { afterEach, describe, expect, it } from 'vitest';
import { ConflictInbox, ConnectionStatus, DiffView, Notices, RejectedOperations, SyncMark } from '../src/index.js';
import { Fake, ONLINE, SUMMARY, recordOf, textClash, titleClash } from './fake.js';
import { expectAccessible, show } from './setup.js';

afterEach(cleanup);

describe('<ConnectionStatus/>', () => {
  it('is hidden while all is well, with its live regions in place', () => {
    const { container } = show(new Fake(), <ConnectionStatus />);
    expect(container.querySelector('.syncline-status')?.hasAttribute('hidden')).toBe(true);
    expect(container.querySelector('[aria-live=polite]')?.textContent).toBe('');
  });

  it.each([
    ['offline', { reason: 'asked', queue: { pending: 2, paused: false } }, 'You are working offline. 2 changes kept'],
    ['offline', { reason: 'no_network' }, 'no network'],
    ['reconnecting', { transport: 'waiting' }, 'Connecting again'],
    ['syncing', { queue: { pending: 12, paused: false } }, 'Sending 12 changes'],
    ['syncing', { snapshot: { received: 1200, estimated: 3000 } }, 'Loading 1,200 of about 3,000 records'],
    ['syncing', { feed: { position: 5, head: 9, caughtUp: false } }, 'Catching up: 4 changes to go'],
  ] as const)('%s %j is said politely', async (state, more, words) => {
    const fake = new Fake();
    const { container } = show(fake, <ConnectionStatus />);
    act(() => {
      fake.connection.set({ ...ONLINE, ...more, state });
    });
    expect(screen.getByRole('status').textContent).toContain(words);
    expect(screen.getByRole('alert').textContent).toBe('');
    await expectAccessible(container);
  });

  it('degraded is an alert', () => {
    const fake = new Fake();
    show(fake, <ConnectionStatus />);
    act(() => {
      fake.connection.set({ ...ONLINE, state: 'degraded', reason: 'storage_full' });
    });
    expect(screen.getByRole('alert').textContent).toContain('This device is full');
    expect(screen.getByRole('status').textContent).toBe('');
  });

  it('says that an update is needed, and the notice does once', async () => {
    const fake = new Fake();
    show(
      fake,
      <>
        <ConnectionStatus />
        <Notices />
      </>,
    );
    act(() => {
      fake.connection.set({ ...ONLINE, state: 'degraded', reason: 'update_needed', transport: 'waiting' });
      fake.notify({ type: 'update_needed' });
    });
    expect(screen.getByRole('alert').textContent).toContain('An update is needed');
    expect((await screen.findByRole('listitem')).textContent).toContain('The server is newer than this application');
  });

  it('shows how far sending is, and lets one try at once', () => {
    const fake = new Fake();
    show(fake, <ConnectionStatus words={{ offline: () => 'Weg.' }} />);
    act(() => {
      fake.queue.set({ ...fake.queue.getSnapshot(), progress: { settled: 3, total: 10 } });
      fake.connection.set({ ...ONLINE, state: 'syncing', queue: { pending: 7, paused: false } });
    });
    expect(screen.getByRole('progressbar').getAttribute('value')).toBe('3');
    act(() => {
      fake.connection.set({ ...ONLINE, state: 'offline', transport: 'waiting' });
    });
    expect(screen.getByRole('status').textContent).toContain('Weg.');
    fireEvent.click(screen.getByRole('button', { name: 'Try now' }));
    expect(fake.calls.goOnline).toHaveBeenCalledOnce();
  });
});

it('<SyncMark/> says what is not simply synced', () => {
  const fake = new Fake();
  fake.put(recordOf('a', {}, { sync: 'pending', fieldSync: { title: 'conflict', due: 'opaque' } }));
  show(
    fake,
    <>
      <SyncMark recordId="a" />
      <SyncMark recordId="a" field="title" />
      <SyncMark recordId="a" field="body" />
      <SyncMark recordId="a" field="due" />
      <SyncMark recordId="none" />
    </>,
  );
  expect(screen.getAllByRole('img').map((mark) => mark.getAttribute('aria-label'))).toEqual([
    'Waits to be sent',
    'Has a conflict to decide',
    'Needs a newer version',
  ]);
});

it('<DiffView/> marks what was added and removed', async () => {
  const { container } = show(new Fake(), <DiffView before="one two" after="one three" labels={['Now', 'Then']} />);
  expect(container.querySelector('del')?.textContent).toBe('two');
  expect(container.querySelector('ins')?.textContent).toBe('three');
  expect(screen.getByRole('group', { name: 'Now' }).textContent).toContain('one two');
  await expectAccessible(container);
  cleanup();
  show(new Fake(), <DiffView before="one two" after="one three" layout="inline" />);
  expect(screen.getByRole('group').textContent).toContain('one twothree');
});

describe('<ConflictInbox/>', () => {
  function setup(detail = titleClash(), status: 'open' | 'deferred' = 'open') {
    const fake = new Fake();
    const record = recordOf('card-1', { title: 'Big launch', body: 'Hi there world' });
    fake.put(record);
    fake.details.set('k1', detail);
    fake.conflicts.set([{ summary: { ...detail.summary, status }, record }]);
    const view = show(fake, <ConflictInbox assignees={['Ada', 'Grace']} />);
    return { fake, detail, ...view };
  }

  it('says that there is nothing to decide', () => {
    show(new Fake(), <ConflictInbox />);
    expect(screen.getByText(/Nothing to decide/)).toBeTruthy();
  });

  it('shows both sides with author and time, the record, what it is linked with, and is accessible', async () => {
    const { container } = setup();
    const sides = within(await screen.findByRole('list', { name: 'Sides' })).getAllByRole('listitem');
    expect(sides.map((side) => side.textContent)).toEqual([
      expect.stringMatching(/Ada.*2023.*shown now.*Big launch/),
      expect.stringMatching(/Grace.*2023.*Quiet launch/),
    ]);
    expect(screen.getByText('The whole record')).toBeTruthy();
    expect(screen.getAllByText('Ada Lovelace').length).toBeGreaterThan(0);
    expect(screen.getByText('Ada and Grace set it without having seen each other’s change.')).toBeTruthy();
    await expectAccessible(container);
  });

  it('uses a side, keeps, or writes another', async () => {
    const { fake, detail } = setup();
    fireEvent.click(await screen.findByRole('button', { name: 'Use this: what Grace wrote' }));
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'alternative', seq: 4 });
    fireEvent.click(screen.getByRole('button', { name: 'Keep what is shown' }));
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'keep' });
    fireEvent.click(screen.getByRole('button', { name: 'Write another' }));
    fireEvent.change(screen.getByLabelText('What it should say'), { target: { value: 'A launch' } });
    fireEvent.click(screen.getByRole('button', { name: 'Use this' }));
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'value', value: 'A launch' });
  });

  it('offers nothing that only a newer version can show or decide', async () => {
    const { alternatives, record } = titleClash();
    const [ada, grace] = alternatives;
    if (ada === undefined || grace === undefined) throw new Error('no sides');
    const { seq, dot, actor, context, state, action, siblings, provisional, correlationId } = grace;
    const said = { seq, dot, actor, context, state, action, siblings, provisional, correlationId };
    setup(titleClash({ alternatives: [ada, { ...said, opaque: true }], record: { ...record, opaque: ['tags'] } }));
    expect((await screen.findAllByText('Needs a newer version')).length).toBe(2);
    expect(screen.queryByRole('button', { name: 'Use this: what Grace wrote' })).toBeNull();
    expect(screen.getByRole('button', { name: 'Use this: what Ada wrote' })).toBeTruthy();
    cleanup();
    setup(titleClash({ summary: { ...SUMMARY, kind: 'unknown' } }));
    const keep = await screen.findByRole('button', { name: 'Needs a newer version' });
    expect(keep.hasAttribute('disabled')).toBe(true);
  });

  const sidesOf = async () =>
    within(await screen.findByRole('list', { name: 'Sides' }))
      .getAllByRole('listitem')
      .map((side) => side.textContent);

  it('shows each version of a text in its sentence, against what stood there before, and offers every one', async () => {
    const { container, fake, detail } = setup(textClash());
    expect(await sidesOf()).toEqual([
      expect.stringMatching(/Ada.*shown now.*Oh\. HelloHi there world/),
      expect.stringMatching(/Grace.*Oh\. HelloGood day world/),
    ]);
    const side = screen.getByRole('group', { name: 'What Grace wrote' });
    expect(side.querySelector('del')?.textContent).toBe('Hello');
    expect(side.querySelector('ins')?.textContent).toBe('Good day');
    expect(side.querySelector('.syncline-around')?.textContent).toBe('Oh. ');
    for (const [who, seq] of [
      ['Ada', 3],
      ['Grace', 4],
    ] as const) {
      fireEvent.click(screen.getByRole('button', { name: `Use this: what ${who} wrote` }));
      expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'alternative', seq });
    }
    await expectAccessible(container);
  });

  it('offers both versions of a text in either order, with what that would say', async () => {
    const { fake, detail } = setup(textClash());
    const button = await screen.findByRole('button', { name: 'Both: Grace, then Ada' });
    const preview = document.getElementById(button.getAttribute('aria-describedby') ?? '');
    expect(preview?.textContent).toBe('Oh. HelloGood day Hi there world');
    fireEvent.click(button);
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'text', text: 'Good day Hi there' });
    fireEvent.click(screen.getByRole('button', { name: 'Both: Ada, then Grace' }));
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'text', text: 'Hi there Good day' });
  });

  it.each([
    ['one of them deleted the place', ['Hi there', '']],
    ['one of them has it as it was', ['Hi there', 'Hello']],
    ['one of them has all of the other', ['Hi there', 'Hi there, all']],
    ['both say the same', ['Hi there', 'Hi there']],
  ])('does not offer both where %s', async (_why, versions) => {
    setup(textClash({}, versions));
    await screen.findByRole('list', { name: 'Sides' });
    expect(screen.queryByRole('button', { name: /^Both/ })).toBeNull();
  });

  it('says that a version is nothing, and that it came to what is shown', async () => {
    const region = { position: 0, length: 0, shown: '', before: '', after: '' };
    const { container } = setup(textClash({ region }, ['Hi there', '']));
    const sides = await sidesOf();
    expect(sides[1]).toMatch(/Grace.*shown now.*Hellonothing \(deleted\)/);
    await expectAccessible(container);
  });

  it('says what is shown where that is none of the versions, and cuts what stands around', async () => {
    const region = { position: 90, length: 3, shown: 'Hey', before: 'b'.repeat(80), after: 'a'.repeat(80) };
    const alternatives = textClash().alternatives.map((side) => ({ ...side, provisional: false }));
    setup(textClash({ region, alternatives }));
    const shown = await screen.findByRole('group', { name: 'Shown now' });
    expect(shown.textContent).toBe(`…${region.before}HelloHey${region.after}…`);
  });

  it.each([
    ['a text', textClash(), 'Hello'],
    ['a value', titleClash(), 'Plan the launch'],
  ])('goes back to what %s was before', async (_what, clash, before) => {
    const { fake, detail } = setup(clash);
    const button = await screen.findByRole('button', { name: 'Go back to before' });
    expect(document.getElementById(button.getAttribute('aria-describedby') ?? '')?.textContent).toBe(
      `Before: ${before}`,
    );
    fireEvent.click(button);
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'base' });
  });

  it('does not go back to what is not known', async () => {
    setup(titleClash({ baseExact: false }));
    await screen.findByRole('list', { name: 'Sides' });
    expect(screen.queryByRole('button', { name: 'Go back to before' })).toBeNull();
    cleanup();
    setup(textClash({ baseValue: null }));
    expect((await sidesOf())[1]).toMatch(/Grace.*Oh\. Good day world/);
    expect(screen.queryByRole('button', { name: /Go back|^Both/ })).toBeNull();
  });

  it('writes another version of the place, which begins with what is shown there', async () => {
    const { fake, detail } = setup(textClash());
    fireEvent.click(await screen.findByRole('button', { name: 'Write another' }));
    const area = screen.getByLabelText('What it should say');
    expect((area as HTMLTextAreaElement).value).toBe('Hi there');
    fireEvent.change(area, { target: { value: 'Welcome' } });
    fireEvent.click(screen.getByRole('button', { name: 'Use this' }));
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, { type: 'text', text: 'Welcome' });
  });

  it('offers nothing that would write a beginning, or that has no place', async () => {
    const { alternatives, region } = textClash();
    const long = alternatives.map((side) => (side.actor === 'Grace' ? { ...side, wholeBytes: 100_000 } : side));
    if (region === undefined) throw new Error('no region');
    const { container } = setup(textClash({ alternatives: long, region: { ...region, wholeShownBytes: 100_000 } }));
    expect((await sidesOf())[1]).toContain('This is only the beginning, of 98 KB.');
    const offered = () =>
      screen.getAllByRole('button').map((button) => button.getAttribute('aria-label') ?? button.textContent);
    expect(offered()).toContain('Use this: what Ada wrote');
    for (const name of [/Grace/, /^Both/, 'Write another']) expect(screen.queryByRole('button', { name })).toBeNull();
    await expectAccessible(container);
    cleanup();
    setup(titleClash({ summary: textClash().summary }));
    await screen.findByRole('list', { name: 'Sides' });
    for (const name of [/^Use/, /^Both/, /^Write/, /^Go back/]) {
      expect(screen.queryByRole('button', { name })).toBeNull();
    }
    expect(screen.getByRole('button', { name: 'Keep what is shown' })).toBeTruthy();
  });

  it('shows long versions so that they can be scrolled by keyboard', async () => {
    setup(textClash({}, ['word '.repeat(100), 'Good day']));
    expect((await screen.findByRole('group', { name: 'What Ada wrote' })).tabIndex).toBe(0);
    expect(screen.getByRole('group', { name: 'What Grace wrote' }).tabIndex).toBe(-1);
  });

  it('says why a conflict closed', async () => {
    setup(titleClash({ summary: { ...SUMMARY, closeReason: 'merged' } }));
    expect(await screen.findByText('It became part of an older conflict.')).toBeTruthy();
  });

  it.each([
    ['edit_delete', 'Delete the record', { type: 'delete' }],
    ['relationship', 'Remove the link', { type: 'unlink' }],
    ['relationship', 'Keep both', { type: 'keep' }],
  ] as const)('%s: %s', async (kind, button, decision) => {
    const { fake, detail } = setup(titleClash({ summary: { ...SUMMARY, kind } }));
    fireEvent.click(await screen.findByRole('button', { name: button }));
    expect(fake.calls.resolve).toHaveBeenLastCalledWith(detail, decision);
  });

  it('puts aside with a reminder and assigns', async () => {
    const { fake } = setup();
    await screen.findByRole('list', { name: 'Sides' });
    fireEvent.click(screen.getByRole('button', { name: 'Put aside' }));
    const at = fake.calls.defer.mock.calls[0]?.[1] as Date;
    expect(at.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
    fireEvent.change(screen.getByLabelText('Should decide'), { target: { value: 'Grace' } });
    expect(fake.calls.assign).toHaveBeenCalledWith('k1', 'Grace');
  });

  it('a deferred one can be decided now', async () => {
    const { fake } = setup(titleClash(), 'deferred');
    expect(screen.getByText(/Everything is put aside/)).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: /Big launch/ }));
    fireEvent.click(await screen.findByRole('button', { name: 'Decide now' }));
    expect(fake.calls.reopen).toHaveBeenCalledWith('k1');
  });

  it('says when the other side cannot be read, and reads it when the connection is back', async () => {
    const { fake, detail } = setup();
    cleanup();
    fake.details.clear();
    fake.connection.set({ ...ONLINE, state: 'offline', transport: 'down' });
    show(fake, <ConflictInbox />);
    expect(await screen.findByText(/cannot be reached now/)).toBeTruthy();
    fake.details.set('k1', detail);
    act(() => {
      fake.connection.set(ONLINE);
    });
    expect(await screen.findByRole('list', { name: 'Sides' })).toBeTruthy();
  });

  it('says when somebody was faster', async () => {
    const { fake } = setup();
    const { SynclineError } = await import('@syncline/client');
    fake.calls.resolve.mockImplementation(() => {
      throw new SynclineError('CHANGED', 'the conflict changed');
    });
    fireEvent.click(await screen.findByRole('button', { name: 'Keep what is shown' }));
    expect(screen.getByRole('alert').textContent).toContain('Look at it again');
  });
});

describe('what the server refused', () => {
  const item = {
    dot: { replicaId: 'me', counter: 3 },
    correlationId: '',
    why: 'rejected' as const,
    refusal: { reason: 'RECORD_DELETED', message: '', metadata: {} },
    rejectedAtMs: 1,
    madeAtMs: 1,
    mutations: [
      {
        collection: 'cards',
        id: 'a',
        field: 'body',
        summary: 'edit body of cards/a',
        content: 'my words',
        atFault: true,
      },
    ],
  };

  it('is kept with what was written, to be tried again or thrown away', async () => {
    const fake = new Fake();
    fake.rejected.set([item]);
    const { container } = show(fake, <RejectedOperations />);
    expect(screen.getByText('my words')).toBeTruthy();
    expect(screen.getByText('Somebody deleted the record.')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(fake.calls.retry).toHaveBeenCalledWith(item.dot);
    fireEvent.click(screen.getByRole('button', { name: 'Throw away' }));
    expect(fake.calls.dismiss).toHaveBeenCalledWith(item.dot);
    await expectAccessible(container);
  });

  it('is told in a notice that stays until it is dismissed', async () => {
    const fake = new Fake();
    const { container } = show(fake, <Notices />);
    act(() => {
      fake.notify({ type: 'rejected', item });
    });
    expect(screen.getByText(/A change was undone: Somebody deleted the record/)).toBeTruthy();
    await expectAccessible(container);
    fireEvent.click(screen.getByRole('button', { name: 'Dismiss this notice' }));
    await waitFor(() => {
      expect(screen.queryByText(/A change was undone/)).toBeNull();
    });
  });
});
