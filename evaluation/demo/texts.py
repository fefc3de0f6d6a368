"""What the demo competition says of itself, in Markdown: an example to write one's own from."""

SUMMARY = "Teach a network to paint: 24 photographs, painted styles, one ranking."

DESCRIPTION = """\
Turn photographs into paintings. Your generator gets a photograph and, in the second phase, a
painting whose manner it is to take over; it returns a picture of the same size.

**One style** asks for one manner on 24 photographs. **Any style** names a different painting for
each photograph, so a generator needs both inputs.

The total loss ranks: content, style and adversarial loss, weighted so that copying the photograph
and copying the painting cost the same. All pairs are public, and so is every picture made of them.

Baselines are on the boards from the start: *identity* returns the photograph, *style paste*
returns the painting, and a small network was trained for *one style*. Yours should beat them all.
"""

RULES = """\
1. **One generator, one file.** Submit an ONNX graph or a `safetensors` checkpoint of an
   architecture that the form offers. It runs as it is: no code of yours comes along, and it has
   no network.
2. **One set of weights for all pairs.** A generator may not recognise single pictures and answer
   them from memory.
3. **Any training data you have the right to use**, the public pairs included. Say what you used
   when somebody asks.
4. **One account per person, one team per account.** Members share the team's quota and its place.
5. **The best submission of a team counts.** Equal scores share a place.

Organizers may hide or disqualify a submission that breaks a rule; they say why on its page.
"""

DATA = """\
The content images are 24 squares cut from photographs, among them an astronaut, a cat, flowers,
coins and a brick wall: some are flat, some full of detail.

The style images were painted by a program, with a palette and brushes of their own for each manner.
FID compares your pictures with other paintings by the same hands, which nobody gets to see.

Download the pairs to score at home exactly as we do: the recipe and the hashes of the networks are
in the file. Credits and licences are below and in `pairs.csv`.
"""

TERMS = """\
By joining you agree that

- your submissions are run and scored on this server, and that scores, pictures and your team's name
  are shown to everybody;
- your checkpoint stays yours: nobody but your team and the organizers can fetch it;
- you had the right to use what you trained on;
- you try neither to get at other people's submissions nor to keep the server from its work.
"""

ANNOUNCEMENT_TITLE = "The competition is open"

ANNOUNCEMENT = """\
Welcome! Both phases are open, and baselines wait to be beaten.

- New here? [Download the pairs](#data), then look at [how they are scored](#scoring).
- You may submit 20 times in 24 hours, so try something early and watch it run.
- Looking for company? Invite others: a team shares its quota and its place on the board.
"""
