"""Are the platform (validation) and the tool (proof) to be trusted?"""
