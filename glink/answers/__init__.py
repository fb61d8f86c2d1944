"""What people and programs ask of Glink, answered from one moment: the same on the command line and over HTTP."""
