// Brings a page up to date: it reads the page again after an event, and every few seconds, and changes the parts that
// differ. All pages work without it. Rows keep their places while a reader uses them.
"use strict";
(() => {
	const body = document.body, pause = 5000;
	const connection = document.getElementById("connection"), words = document.getElementById("connection-words");
	const announcer = document.getElementById("announcer");
	let stream = null, timer = 0, ended = false, reading = false, again = false, order = null;

	function tell(state, text) {
		if (!connection || connection.dataset.state === state) return;
		const was = connection.dataset.state;
		connection.dataset.state = state;
		words.textContent = text;
		if (state === "ended" || state === "lost") announce(text);
		if (state === "live" && was === "lost") announce("connected again");
	}

	function announce(text) { if (announcer) announcer.textContent = text; }

	// The session is over: the reader gets a link, and nothing moves.
	function end() {
		ended = true;
		clearTimeout(timer);
		if (stream) stream.close();
		const link = document.createElement("a");
		link.href = "/ui/login?next=" + encodeURIComponent(location.pathname + location.search);
		link.textContent = "Log in again";
		tell("ended", "session ended");
		words.replaceChildren(link);
	}

	async function refresh() {
		clearTimeout(timer);
		if (ended || document.hidden) return;
		if (reading) { again = true; return; }
		reading = true;
		try {
			const url = new URL(location.href);
			url.searchParams.delete("done");
			const answer = await fetch(url.pathname + url.search, { headers: { "Farmc-Live": "1" }, redirect: "manual" });
			if (answer.status === 401) { end(); return; }
			if (answer.ok) {
				update(new DOMParser().parseFromString(await answer.text(), "text/html"));
				tell("live", "live");
			} else tell("lost", "reconnecting");
		} catch { tell("lost", "reconnecting"); }
		finally {
			reading = false;
			if (!ended) timer = setTimeout(refresh, again ? 200 : pause);
			again = false;
		}
	}

	// update changes the page into the new one, but for its frame and the outcome of an action.
	function update(fresh) {
		const from = document.getElementById("main"), to = fresh.getElementById("main");
		if (!to || !body.hasAttribute("data-live")) return;
		const outcome = document.getElementById("outcome");
		if (outcome) to.prepend(outcome.cloneNode(true));
		keepOrder(from, to);
		children(from, to);
		const asOf = document.getElementById("as-of"), now = fresh.getElementById("as-of");
		if (asOf && now) node(asOf, now);
	}

	const ids = rows => [...rows.children].map(row => row.id);

	// keepOrder gives new rows the order of the rows that the reader sees. The reader can ask for the new order.
	function keepOrder(from, to) {
		const old = from.querySelector("[data-ordered]"), rows = to.querySelector("[data-ordered]");
		const button = to.querySelector("#reorder");
		if (!old || !rows || ids(old).join() === ids(rows).join()) { order = null; return; }
		if (!isUsed(old)) { old.replaceWith(document.importNode(rows, true)); order = null; return; }
		order = document.importNode(rows, true);
		const known = new Map([...rows.children].map(row => [row.id, row]));
		const kept = [...old.children].map(row => known.get(row.id) || row.cloneNode(true));
		rows.replaceChildren(...kept);
		if (button) button.hidden = false;
	}

	const isUsed = part => part.contains(document.activeElement) || part.matches(":hover") || scrollY > 0;

	document.addEventListener("click", e => {
		if (!e.target.closest("#reorder") || !order) return;
		document.querySelector("[data-ordered]").replaceWith(order);
		order = null;
		e.target.closest("#reorder").hidden = true;
		document.getElementById("main").focus();
		announce("The farms with problems are first again.");
	});

	// node changes an element into another one of the same name.
	function node(from, to) {
		if (from.isEqualNode(to)) return;
		if (from.nodeType !== Node.ELEMENT_NODE) { from.nodeValue = to.nodeValue; return; }
		if (from.matches("input:not([type=hidden]), select, textarea")) return; // a reader may be writing
		if (isWhole(from)) { from.replaceWith(document.importNode(to, true)); return; }
		for (const { name } of [...from.attributes]) {
			if (!to.hasAttribute(name) && !(name === "open" && from.matches("details"))) from.removeAttribute(name);
		}
		for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
		children(from, to);
	}

	// A cell or an item that changes is replaced as a whole, unless it has a control that a reader may be using: then no
	// text in it moves.
	const isWhole = e => e.matches("td, th, dd, li, p, button") && !e.contains(document.activeElement)
		&& !e.querySelector("[id], details, form, td, li, p");

	const key = n => n.nodeType === Node.ELEMENT_NODE ? n.id : "";

	// reaches tells whether only nodes without an ID stand between two siblings.
	function reaches(at, own) {
		while (at && at !== own && !key(at)) at = at.nextSibling;
		return at === own;
	}

	// children changes the children of an element. A child with an ID stays the same element, with its focus.
	function children(from, to) {
		const known = new Map([...from.children].filter(n => n.id).map(n => [n.id, n]));
		let at = from.firstChild;
		for (const wanted of [...to.childNodes]) {
			let own = key(wanted) ? known.get(key(wanted)) : at;
			const fits = own && own.nodeType === wanted.nodeType && own.nodeName === wanted.nodeName && key(own) === key(wanted);
			if (!fits) {
				from.insertBefore(document.importNode(wanted, true), at);
				continue;
			}
			// Nodes without an ID before it go: an element that moves would lose the focus.
			if (own !== at && reaches(at, own)) while (at !== own) { const next = at.nextSibling; at.remove(); at = next; }
			if (own === at) at = at.nextSibling; else from.insertBefore(own, at);
			node(own, wanted);
		}
		while (at) { const next = at.nextSibling; at.remove(); at = next; }
	}

	// Events tell at once what the next look at the page would find. A hidden page follows none: a browser has few
	// connections to one server.
	function follow() {
		if (ended || document.hidden || stream || !body.hasAttribute("data-session")) return;
		stream = new EventSource("/ui/events");
		stream.onopen = () => { connection.dataset.events = "open"; tell("live", "live"); };
		stream.onerror = () => { tell("lost", "reconnecting"); soon(); };
		for (const kind of ["load", "backend", "health", "panic", "faults", "tampering", "ban", "unban", "finding", "finding-ended"]) {
			stream.addEventListener(kind, e => { speak(kind, e.data); soon(); });
		}
	}

	let waiting = 0;
	function soon() {
		clearTimeout(waiting);
		waiting = setTimeout(refresh, 300);
	}

	// speak announces changes of health, the worst news first.
	function speak(kind, data) {
		let event;
		try { event = JSON.parse(data); } catch { return; }
		if (kind === "health") {
			const turned = event.backends || [];
			turned.sort((a, b) => a.healthy - b.healthy);
			const some = turned.slice(0, 3).map(b => `${b.farm} ${b.backend} ${b.healthy ? "healthy" : "unhealthy"}`);
			announce(some.join(", ") + (turned.length > 3 ? `, and ${turned.length - 3} more` : ""));
		}
		if (kind === "load" && event.result === "failed") announce("A load failed.");
		if (kind === "faults" && event.faults && event.faults.length) announce("The files have faults.");
	}

	function wake() {
		if (document.hidden) {
			if (stream) stream.close();
			stream = null;
			return;
		}
		follow();
		refresh();
	}

	document.addEventListener("visibilitychange", wake);
	document.addEventListener("keydown", e => {
		const open = e.key === "Escape" && document.activeElement && document.activeElement.closest("details[open]");
		if (open) { open.open = false; open.querySelector("summary").focus(); }
	});
	if (location.hash === "#outcome") {
		const outcome = document.getElementById("outcome");
		if (outcome) outcome.focus();
	}
	if (body.hasAttribute("data-session")) { follow(); timer = setTimeout(refresh, 1500); }
})();
