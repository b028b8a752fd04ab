// Owns what the sign-in page does with `?next=`: it hands it to the server, which alone judges it.
// Must never follow an address itself, and never show one: anybody can write anything into a link.

/** True if somebody was on their way to a page when they were sent here. */
export const isOnTheWay = new URLSearchParams(location.search).has('next');

// What stands behind the `#` is no server's business; it goes along to the page by itself. Views of this page are named there, too.
const VIEWS = ['', '#sign-in', '#register'];
const fragment = VIEWS.includes(location.hash) ? '' : location.hash;

/** Where somebody goes who is signed in: relative, as every address here. */
export const onward = isOnTheWay ? `continue${location.search}${fragment}` : 'account';
