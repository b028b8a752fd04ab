// Calls by a client that openapi-typescript made of the OpenAPI document: it has to compile, and to refuse what is wrong.
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

type Problem = components['schemas']['Problem'];

const { GET, POST, PUT, PATCH, DELETE } = createClient<paths>({ baseUrl: 'https://app.example.com/sessiond' });
const bare = { 'X-Requested-With': 'example' };

/** What to tell a person. Every kind of problem that this does not name has words of its own. */
function words(problem: Problem): string {
  switch (problem.type) {
    case 'urn:sessiond:problem:wrong-credentials':
      return 'Try again.';
    case 'urn:sessiond:problem:step-up-required':
      return `Your password, please: ${problem.step_up?.path ?? ''}`;
    case 'urn:sessiond:problem:invalid-body':
      return (problem.errors ?? []).map(({ field, detail }) => `${field}: ${detail}`).join('\n');
    // @ts-expect-error There is no such kind of problem.
    case 'urn:sessiond:problem:sunday':
      return 'Come back tomorrow.';
    default:
      return problem.detail;
  }
}

export async function walkThrough(email: string, password: string): Promise<string> {
  const registered = await POST('/register', { body: { email, password } });
  if (registered.error) return words(registered.error);
  const name: string | null = registered.data.user.name;

  const signedIn = await POST('/login', { body: { email, password, remember: true } });
  if (signedIn.error) return words(signedIn.error);
  const { id } = signedIn.data.session;

  const somebody = await GET('/session');
  const who: string | null | undefined = somebody.data?.user.email;

  const { data } = await GET('/sessions', { params: { header: { 'X-No-Touch': '1' } } });
  const others = (data?.sessions ?? []).filter(({ current }) => !current);
  for (const other of others) {
    const browser: string | null = other.device.browser;
    const since: Date = new Date(other.created_at);
    console.log(browser, since, other.location?.length);
    const { error } = await DELETE('/sessions/{id}', { params: { path: { id: other.id }, header: bare } });
    if (error) return words(error);
  }

  const renamed = await PATCH('/me', { body: { name: null } });
  const found = await GET('/admin/sessions', { params: { query: { 'filter[country]': 'PT', limit: 10 } } });
  const owner: string | undefined = found.data?.sessions[0]?.user_email;
  await PUT('/admin/users/{id}/roles', { params: { path: { id } }, body: { roles: ['admin'] } });
  const counted = await POST('/admin/sessions/revoke', { body: { filter: { country: 'PT' }, dry_run: true } });
  const next: string | null | undefined = counted.data?.next_cursor;

  await POST('/logout', { params: { header: bare } });
  return [name, who, renamed.data?.user.name, owner, next, found.response.headers.get('Retry-After')].join();
}

export async function mistakes(): Promise<void> {
  // @ts-expect-error A change without a body needs the header.
  await POST('/logout');
  // @ts-expect-error A password is missing.
  await POST('/login', { body: { email: 'ana@example.org' } });
  // @ts-expect-error There is no such role.
  await PUT('/admin/users/{id}/roles', { params: { path: { id: '' } }, body: { roles: ['owner'] } });
  const { data } = await GET('/me');
  // @ts-expect-error The name can be null.
  data?.user.name.length;
}
