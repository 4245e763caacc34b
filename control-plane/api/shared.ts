/**
 * Lets those who ask for the same thing within a period share one answer, from the moment at which it was begun. Nobody asks: nothing is
 * done. A failure is for those who share it; whoever comes after it has the thing tried again.
 * @param answer what is found out anew once nobody has begun to within the period
 */
export function shared<Key, Answer>(
  periodMs: number,
  answer: (key: Key) => Promise<Answer>,
  now: () => number = () => performance.now(),
): (key: Key) => Promise<Answer> {
  const begun = new Map<Key, { readonly atMs: number; readonly answer: Promise<Answer> }>();
  return (key) => {
    for (const [each, { atMs }] of begun) if (now() - atMs >= periodMs) begun.delete(each);
    const found = begun.get(key);
    if (found) return found.answer;
    const one = { atMs: now(), answer: answer(key) };
    begun.set(key, one);
    one.answer.catch(() => {
      if (begun.get(key) === one) begun.delete(key);
    });
    return one.answer;
  };
}
