// Passkeys: the browser asks the authenticator, the form takes its answer.
"use strict";

// Begin at `url`, let the authenticator answer, and put both into the form. Whether it did.
async function ceremony(form, url, creating, says) {
  says.textContent = "";
  try {
    const csrf = form.elements.csrf.value;
    const answer = await fetch(url, { method: "POST", body: new URLSearchParams({ csrf }) });
    if (!answer.ok || answer.redirected) {
      says.textContent = "That did not work. Load the page again and repeat it.";
      return false;
    }
    const { ceremony, options } = await answer.json();
    const credential = creating
      ? await navigator.credentials.create({
          publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
        })
      : await navigator.credentials.get({
          publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
        });
    form.elements.ceremony.value = ceremony;
    form.elements.response.value = JSON.stringify(credential.toJSON());
    return true;
  } catch (fault) {
    says.textContent =
      fault.name === "InvalidStateError"
        ? "This device has a passkey for you already."
        : "No passkey was used. You can try again, or use another way.";
    return false;
  }
}

// A form that is all about a passkey: signing in with one, adding one.
async function passkeyForm(form) {
  const says = form.querySelector("[role=status]");
  const creating = form.dataset.passkey === "create";
  if (await ceremony(form, form.dataset.options, creating, says)) form.submit();
}

// A dangerous deed's form: a passkey instead of the password and the code.
async function prove(button) {
  const form = button.form;
  const says = button.parentElement.querySelector("[role=status]");
  const others = ["password", "code"].map((name) => form.elements[name]).filter(Boolean);
  for (const field of others) field.required = false;
  if (form.reportValidity() && (await ceremony(form, button.dataset.prove, false, says))) {
    form.requestSubmit(form.querySelector("button:not([type=button])"));
    return;
  }
  for (const field of others) field.required = true;
}

// By delegation: a dialog may bring such a form at any time.
if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  document.documentElement.classList.add("passkeys");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-prove]");
    if (button) prove(button);
  });
  document.addEventListener(
    "submit",
    (event) => {
      if (!event.target.matches("form[data-passkey]")) return;
      event.preventDefault();
      event.stopPropagation();
      passkeyForm(event.target);
    },
    { capture: true },
  );
}
