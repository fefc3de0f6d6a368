"""What the demo competition is made of: photographs, paintings and baselines."""
